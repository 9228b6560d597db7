"""Ends the process with exit code 70 when its event loop hangs; a thread, because the loop cannot watch itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from swarm_core.errors import EXIT_WATCHDOG
from swarm_core.log import get_logger

LAG_SECONDS = 30.0
log = get_logger("watchdog")


class LoopWatchdog:
    """`beat()` from the loop; `start()` once. Time in which the whole process stood still (SIGSTOP) does not count."""

    def __init__(self, lag: float = LAG_SECONDS, check: float = 2.0, end: Callable[[int], None] = os._exit) -> None:
        self._lag = lag
        self._check = check
        self._end = end
        self._stop = threading.Event()
        self._late = 0.0
        self._beats = 0
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """No longer watch."""
        self._stop.set()

    def beat(self) -> None:
        """The loop turned."""
        self._beats += 1

    def _watch(self) -> None:
        seen, checked = self._beats, time.monotonic()
        while not self._stop.wait(self._check):
            now = time.monotonic()
            # a gap in our own turns is no fault of the loop: count at most two checks' worth
            self._late = 0.0 if self._beats != seen else self._late + min(now - checked, 2 * self._check)
            seen, checked = self._beats, now
            if self._late >= self._lag:
                log.error("the event loop hangs: ending the process", seconds=self._late)
                self._end(EXIT_WATCHDOG)
                return
