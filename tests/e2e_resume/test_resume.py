"""Proves: 20 SIGKILLs at random moments of a 300-round run change no reward and no weight (`make resume`)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import resume_run

ROUNDS, KILLS, FOREIGN = 300, 20, 400

pytestmark = pytest.mark.timeout(1500)


def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    kills = resume_run.moments(KILLS, ROUNDS - 2, seed=20)
    killed = resume_run.run(tmp_path / "killed", ROUNDS, kills, FOREIGN, seconds=1000)
    whole = resume_run.run(tmp_path / "whole", ROUNDS, [], FOREIGN, seconds=450)
    assert len(killed.lives) == KILLS + 1
    resume_run.check(killed, whole, ROUNDS, KILLS)
