"""The watchdog ends the process when the loop stops turning, not while it turns."""

from __future__ import annotations

import threading

from swarm_core.errors import EXIT_WATCHDOG
from swarm_dht.watchdog import LoopWatchdog


def test_a_silent_loop_ends_the_process() -> None:
    ended = threading.Event()
    codes: list[int] = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    watchdog = LoopWatchdog(lag=0.1, check=0.02, end=end)
    watchdog.start()
    assert ended.wait(5.0)
    assert codes == [EXIT_WATCHDOG]


def test_a_turning_loop_does_not() -> None:
    ended = threading.Event()
    watchdog = LoopWatchdog(lag=0.4, check=0.02, end=lambda code: ended.set())
    watchdog.start()
    pulse = threading.Event()
    for _ in range(80):
        watchdog.beat()
        pulse.wait(0.01)
    assert not ended.is_set()
    watchdog.stop()
