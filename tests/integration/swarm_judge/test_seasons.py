"""Proves: the leaderboard's interval covers the known accuracy of a policy in at least 95 % of 200 simulated seasons.

A season is 40 questions through the judge's own store, ladder and leaderboard; the policy has an accuracy per level.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from swarm_judge.ladder import LEVELS
from swarm_judge.leaderboard import leaderboard
from swarm_judge.store import JudgeStore, Session

SEASONS = 200
QUESTIONS = 40


def ask(store: JudgeStore, peer: str, round_number: int, accuracy: list[float], rng: random.Random) -> None:
    """One question and its answer, right with the accuracy of its level."""
    level = store.asked(peer, True) % len(LEVELS)
    number = store.next_number(round_number, level)
    name = f"{peer}-{round_number}"
    session = Session(name, peer, "m", True, round_number, round_number, level, number, "gcd", 1, "?", 0.0, 10.0)
    store.add(session)
    assert store.take(name, 1.0)
    assert store.settle(session, 1.0 if rng.random() < accuracy[level] else 0.0)


@pytest.mark.parametrize(("easy", "hard"), [(0.05, 0.02), (0.9, 0.1)])
def test_intervals_cover_the_known_accuracy(tmp_path: Path, easy: float, hard: float) -> None:
    accuracy = [easy - (easy - hard) * level / (len(LEVELS) - 1) for level in range(len(LEVELS))]
    truth = sum(accuracy) / len(accuracy)
    rng = random.Random(f"{easy}/{hard}")
    store = JudgeStore(tmp_path / "judge.db")
    store.db.execute("PRAGMA synchronous=OFF")
    store.db.execute("PRAGMA journal_mode=MEMORY")
    peers = [f"peer{season}" for season in range(SEASONS // 4)]  # 50 peers at four seasons of rounds each: 200 seasons
    covered = 0
    for season in range(4):
        for round_number in range(season * QUESTIONS, (season + 1) * QUESTIONS):
            for peer in peers:
                ask(store, peer, round_number, accuracy, rng)
        rows = leaderboard(store.tallies(season * QUESTIONS, (season + 1) * QUESTIONS - 1))
        assert [row.answers for row in rows] == [QUESTIONS] * len(peers)
        covered += sum(row.low <= truth <= row.high for row in rows)
    store.close()
    assert covered >= 0.95 * SEASONS
