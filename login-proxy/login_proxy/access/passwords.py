"""Passwords: argon2id in a thread, a bounded number at a time, so that a flood of guesses cannot fill the memory."""

from __future__ import annotations

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from swarm_core.errors import SwarmError

MIN_CHARS = 10
MAX_CHARS = 256
_MEMORY_KIB = 32 * 1024
_PASSES = 3
_AT_ONCE = 1


class Busy(SwarmError):
    """Another password is being checked; try again in a second."""


class Passwords:
    """Hashes and checks; raises Busy at once instead of queueing."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(time_cost=_PASSES, memory_cost=_MEMORY_KIB, parallelism=1)
        self._free = _AT_ONCE

    async def hash(self, password: str) -> str:
        """The argon2id hash of a new password."""
        self._enter()
        try:
            return await asyncio.to_thread(self._hasher.hash, password)
        finally:
            self._free += 1

    async def matches(self, password_hash: str, password: str) -> bool:
        """Whether this is the password of the hash."""
        if len(password) > MAX_CHARS:
            return False
        self._enter()
        try:
            return await asyncio.to_thread(self._hasher.verify, password_hash, password)
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False
        finally:
            self._free += 1

    def _enter(self) -> None:
        if self._free <= 0:
            raise Busy("another password is being checked")
        self._free -= 1


def is_acceptable(password: str) -> bool:
    """Whether a new password is long enough and not too long."""
    return MIN_CHARS <= len(password) <= MAX_CHARS
