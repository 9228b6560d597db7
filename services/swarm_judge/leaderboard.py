"""The leaderboard: one row per peer, model and kind of client, ordered by what the score is at least.

Ordering by the lower bound keeps a peer with two lucky answers below one with two hundred good ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarm_core.names import peer_name
from swarm_judge.intervals import CONFIDENCE, interval
from swarm_judge.ladder import LEVELS
from swarm_judge.store import Tally

_RUNG_SCORE = 0.5


@dataclass(frozen=True)
class Row:
    """`score` is a mean over all levels, `low` and `high` its interval; `levels` has a mean per level or None.

    `rung`: how many levels in a row, from the lowest, have a mean of at least one half.
    """

    peer_id: str
    peer_name: str
    model: str
    signed: bool
    answers: int
    score: float
    low: float
    high: float
    confidence: float
    levels: tuple[float | None, ...]
    rung: int
    first_round: int
    last_round: int


def leaderboard(tallies: Sequence[Tally]) -> list[Row]:
    """Rows in their order: signed ones first, then by lower bound, score and number of answers."""
    groups: dict[tuple[str, str, bool], list[Tally]] = {}
    for tally in tallies:
        groups.setdefault((tally.peer, tally.model, tally.signed), []).append(tally)
    rows = [_row(key, group) for key, group in groups.items()]
    return sorted(rows, key=lambda row: (not row.signed, -row.low, -row.score, -row.answers, row.peer_id))


def _row(key: tuple[str, str, bool], tallies: Sequence[Tally]) -> Row:
    asked = sum(tally.asked for tally in tallies)
    bounds = interval(sum(tally.total for tally in tallies), asked)
    means: list[float | None] = [None] * len(LEVELS)
    for tally in tallies:
        if tally.level < len(means) and tally.asked:
            means[tally.level] = tally.total / tally.asked
    rung = 0
    while rung < len(means) and (means[rung] or 0.0) >= _RUNG_SCORE:
        rung += 1
    return Row(
        peer_id=key[0],
        peer_name=peer_name(key[0]),
        model=key[1],
        signed=key[2],
        answers=asked,
        score=bounds.mean,
        low=bounds.low,
        high=bounds.high,
        confidence=CONFIDENCE,
        levels=tuple(means),
        rung=rung,
        first_round=min(tally.first_round for tally in tallies),
        last_round=max(tally.last_round for tally in tallies),
    )
