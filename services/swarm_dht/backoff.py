"""Pauses between attempts: doubling, jittered, capped."""

from __future__ import annotations

import random


class Backoff:
    """`next()` gives the pause before the next attempt: half to all of first * 2^n seconds, at most `longest`."""

    def __init__(self, first: float, longest: float, rng: random.Random) -> None:
        self._first = first
        self._longest = longest
        self._rng = rng
        self._attempts = 0

    def next(self) -> float:
        """The next pause."""
        pause = min(self._longest, self._first * 2.0 ** min(self._attempts, 16))
        self._attempts += 1
        return pause * self._rng.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again with the shortest pause."""
        self._attempts = 0
