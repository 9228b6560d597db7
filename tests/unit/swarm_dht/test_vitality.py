"""A process at work is told from one that is stopped, asleep or gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from swarm_dht.vitality import Vitality, look, starved


@pytest.fixture
def busy() -> Iterator[subprocess.Popen[bytes]]:
    """A process that never rests, with a name that tries to confuse the reader of its status."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield process
        process.kill()


def state_becomes(pid: int, states: str) -> Vitality:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        found = look(pid)
        if found is not None and found.state in states:
            return found
        time.sleep(0.01)
    raise AssertionError(f"{pid} never was in a state of {states}")


def test_a_busy_process_is_starved_and_a_stopped_one_is_not(busy: subprocess.Popen[bytes]) -> None:
    before = state_becomes(busy.pid, "R")
    assert starved(before, state_becomes(busy.pid, "R"))
    os.kill(busy.pid, signal.SIGSTOP)
    stopped = state_becomes(busy.pid, "T")
    assert not starved(before, stopped), "it did work before it was stopped, and will not again"


def test_a_process_that_is_gone_is_not_starved() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert look(process.pid) is None
    assert not starved(Vitality("R", 1), None)


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (Vitality("S", 5), Vitality("S", 5), False),
        (Vitality("S", 5), Vitality("S", 6), True),
        (Vitality("S", 5), Vitality("R", 5), True),
        (Vitality("R", 5), Vitality("Z", 9), False),
        (None, Vitality("R", 9), False),
    ],
)
def test_only_work_counts(before: Vitality | None, now: Vitality, expected: bool) -> None:
    assert starved(before, now) is expected
