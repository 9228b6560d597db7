"""Once a second: the loop turns, and the clock moves as it should. Tells late turns and jumps of the wall clock.

Works with the watchdog (which ends the process when the loop hangs); the clocks are parameters, so tests move them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from swarm_core.log import get_logger

SECONDS = 1.0
JUMP_SECONDS = 2.0
LATE_SECONDS = 1.0
log = get_logger("heartbeat")


class Heartbeat:
    """`beat()` about every second. `lag`: how late the last turn was, `jumps`: how often the wall clock jumped."""

    def __init__(
        self,
        jumped: Callable[[], None],
        wall: Callable[[], float] = lambda: time.time(),  # looked up at each call
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jumped = jumped
        self._wall = wall
        self._steady = steady
        self._last = (wall(), steady())
        self.lag = 0.0
        self.worst_lag = 0.0
        self.jumps = 0
        self.last_jump = 0.0

    def beat(self) -> None:
        """The loop turned."""
        wall, steady = self._wall(), self._steady()
        passed = steady - self._last[1]
        drift = wall - self._last[0] - passed
        self._last = (wall, steady)
        self.lag = max(0.0, passed - SECONDS)
        self.worst_lag = max(self.worst_lag, self.lag)
        if self.lag > LATE_SECONDS:
            log.warning("the event loop was late", seconds=self.lag)
        if abs(drift) > JUMP_SECONDS:
            self.jumps += 1
            self.last_jump = drift
            log.warning("the clock of this host jumped", seconds=drift)
            self._jumped()
