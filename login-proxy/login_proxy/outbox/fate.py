"""Doubts about a transaction's fate: since when its number is known to be used by another, and when that is certain.

Works with `flight`. A receipt may lag behind "nonce too low" on a load-balanced RPC, so a doubt must last. For a bet
that is not enough: it is signed anew only when a finalised block has passed its number and, asked twice with a pause,
the same node knows no receipt of any of its transactions.
"""

from __future__ import annotations

from collections.abc import Callable

from login_proxy.outbox.intents import Intent
from login_proxy.outbox.ports import Submitter

NONCE_GRACE_SECONDS = 2.0  # how long a receipt may lag behind "nonce too low"


class Doubts:
    """Doubts about intents in flight. `clock` gives monotonic seconds."""

    def __init__(self, submitter: Submitter, clock: Callable[[], float]) -> None:
        self._submitter = submitter
        self._clock = clock
        self._taken_since: dict[int, float] = {}
        self._gone_since: dict[int, float] = {}

    def taken(self, intent: int) -> None:
        """The chain says that the intent's number is used up."""
        self._taken_since.setdefault(intent, self._clock())

    def is_taken(self, intent: int) -> bool:
        """Whether it has been for long enough that a receipt would be there."""
        since = self._taken_since.get(intent)
        return since is not None and self._clock() - since >= NONCE_GRACE_SECONDS

    async def is_gone(self, intent: Intent) -> bool:
        """Whether none of the intent's transactions can have effect any more. Raises Unavailable."""
        last = intent.last_attempt
        if last is None:
            return True
        hashes = [attempt.hash for attempt in intent.attempts]
        if not await self._submitter.surely_lost(last.nonce, hashes):
            self._gone_since.pop(intent.id, None)
            return False
        since = self._gone_since.setdefault(intent.id, self._clock())
        return self._clock() - since >= NONCE_GRACE_SECONDS

    def forget(self, intent: int) -> None:
        """The intent is no longer in flight."""
        self._taken_since.pop(intent, None)
        self._gone_since.pop(intent, None)
