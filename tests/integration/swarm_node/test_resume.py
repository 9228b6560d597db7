"""Proves: a worker that is killed again and again trains exactly as one that is not, and repeats at most one round.

Rewards, losses, groups used and the weights' checksums of every round are compared; `make resume` does the same with
20 kills in 300 rounds.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import resume_run

ROUNDS, KILLS, FOREIGN = 10, 2, 32

pytestmark = pytest.mark.timeout(300)


def test_two_kills_change_nothing(tmp_path: Path) -> None:
    kills = resume_run.moments(KILLS, ROUNDS - 2, seed=5)
    whole = resume_run.run(tmp_path / "whole", ROUNDS, [], FOREIGN, seconds=120)
    killed = resume_run.run(tmp_path / "killed", ROUNDS, kills, FOREIGN, seconds=200)
    assert len(killed.lives) == KILLS + 1
    resume_run.check(killed, whole, ROUNDS, KILLS)
    used = [group["sha256"] for record in whole.rounds().values() for group in record["external"]]
    assert len(used) == len(set(used)) == FOREIGN  # each group of others was used once, over all restarts
