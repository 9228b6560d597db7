"""The audit log: security events, newest kept, in the same file as owner and sessions, and as log lines.

Refusals are what a stranger can cause: at most one a second is written, the others are counted and told with the next
one, so that a flood can fill neither the disk nor the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from login_proxy.access.store import AccessStore
from login_proxy.database import transaction
from swarm_core.log import get_logger

log = get_logger("audit")

Event = Literal[
    "claimed", "claim_refused", "signed_in", "sign_in_refused", "signed_out", "confirmed", "confirm_refused",
    "session_revoked", "method_added", "method_removed", "method_kept", "settings_changed", "owner_reset",
    "identity_exported", "identity_imported", "key_imported", "submissions_changed",
]  # fmt: skip
EVENTS: tuple[str, ...] = get_args(Event)
_REFUSALS = frozenset({"claim_refused", "sign_in_refused", "confirm_refused"})
_MAX_ROWS = 5_000
_MAX_DETAIL_CHARS = 300


@dataclass(frozen=True)
class Entry:
    """One event. `at` in Unix seconds; `address` is where the request came from, "" for the command line."""

    at: float
    event: str
    detail: str
    address: str


class Audit:
    """Writes and lists events."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self._last_refusal = float("-inf")
        self._unwritten = 0

    def add(self, event: Event, detail: str = "", address: str = "") -> None:
        """Record an event. `detail` must hold no secret."""
        now = self._store.clock()
        if event in _REFUSALS:
            if now - self._last_refusal < 1.0:
                self._unwritten += 1
                return
            self._last_refusal = now
            if self._unwritten:
                detail = f"{detail} (and {self._unwritten} refusals before)".strip()
                self._unwritten = 0
        words = {"detail": detail} if detail else {}
        line = log.warning if event in _REFUSALS else log.info
        line(event.replace("_", " "), **words, **({"address": address} if address else {}))
        with transaction(self._store.db) as db:
            db.execute(
                "INSERT INTO audit (at, event, detail, address) VALUES (?, ?, ?, ?)",
                (now, event, detail[:_MAX_DETAIL_CHARS], address),
            )
            db.execute("DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?", (_MAX_ROWS,))

    def newest(self, count: int) -> list[Entry]:
        """The last `count` events, newest first."""
        rows = self._store.db.execute("SELECT at, event, detail, address FROM audit ORDER BY id DESC LIMIT ?", (count,))
        return [Entry(**row) for row in rows]
