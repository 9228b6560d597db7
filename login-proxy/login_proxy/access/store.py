"""The owner, the methods and the sessions on disk. Works with `database`; session tokens come in as hashes only.

Other processes may change the file as well (`login-proxy reset-owner`), so nothing is kept in memory.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from login_proxy.access.methods import MAX_METHODS, Method, NewMethod
from login_proxy.access.schema import MIGRATIONS
from login_proxy.database import open_database, transaction
from swarm_core.errors import SwarmError

USER_HANDLE_BYTES = 32
_COLUMNS = "kind, label, secret, credential_id, public_key, sign_count, rp_id, created_at"


class LastMethod(SwarmError):
    """The last way to sign in cannot be removed: nobody could get in any more."""


@dataclass(frozen=True)
class StoredSession:
    """A session. Times are Unix seconds; `proved_at` is when the owner last proved who they are."""

    token_hash: bytes
    created_at: float
    seen_at: float
    proved_at: float
    method: str
    agent: str
    address: str


class AccessStore:
    """One owner at most, with several methods; any number of sessions. `clock` gives Unix seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.db = open_database(path, MIGRATIONS)
        self.clock = clock

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    # ---- owner and methods ----
    def claimed(self) -> bool:
        """Whether somebody owns the node."""
        return self.db.execute("SELECT 1 FROM owner").fetchone() is not None

    def user_handle(self) -> bytes | None:
        """The owner's WebAuthn user id: random, says nothing about a person."""
        row = self.db.execute("SELECT user_handle FROM owner").fetchone()
        return None if row is None else bytes(row["user_handle"])

    def claim(self, method: NewMethod, user_handle: bytes | None = None) -> bool:
        """Make the owner with a first method. False, and nothing changed, when there is one."""
        handle = user_handle or secrets.token_bytes(USER_HANDLE_BYTES)
        with transaction(self.db):
            cursor = self.db.execute(
                "INSERT INTO owner (id, user_handle, claimed_at) VALUES (1, ?, ?) ON CONFLICT (id) DO NOTHING",
                (handle, self.clock()),
            )
            if cursor.rowcount != 1:
                return False
            self._insert(method)
        return True

    def reset(self) -> bool:
        """Forget the owner, every method and every session. False when nobody owned the node."""
        with transaction(self.db):
            owned = self.db.execute("DELETE FROM owner").rowcount == 1
            self.db.execute("DELETE FROM methods")
            self.db.execute("DELETE FROM sessions")
        return owned

    def methods(self) -> list[Method]:
        """Every method, oldest first."""
        return [_method(row) for row in self.db.execute("SELECT * FROM methods ORDER BY id")]

    def password_hash(self) -> str | None:
        """The hash of the owner's password, None when there is none."""
        row = self.db.execute("SELECT secret FROM methods WHERE kind = 'password'").fetchone()
        return None if row is None else str(row["secret"])

    def add(self, method: NewMethod) -> bool:
        """Add a method; a new password takes the place of the old one. False if it is known, or there are too many."""
        with transaction(self.db):
            if method.kind == "password":
                self.db.execute("DELETE FROM methods WHERE kind = 'password'")
            if int(self.db.execute("SELECT count(*) FROM methods").fetchone()[0]) >= MAX_METHODS:
                return False
            try:
                self._insert(method)
            except sqlite3.IntegrityError:
                return False
        return True

    def remove(self, method_id: int) -> Method | None:
        """Remove a method; None if there is no such one. Raises LastMethod."""
        with transaction(self.db):
            row = self.db.execute("SELECT * FROM methods WHERE id = ?", (method_id,)).fetchone()
            if row is None:
                return None
            if int(self.db.execute("SELECT count(*) FROM methods").fetchone()[0]) == 1:
                raise LastMethod("the last way to sign in stays")
            self.db.execute("DELETE FROM methods WHERE id = ?", (method_id,))
        return _method(row)

    def used(self, method_id: int, sign_count: int = 0) -> None:
        """The method was used now; a passkey's counter is remembered."""
        with transaction(self.db):
            self.db.execute(
                "UPDATE methods SET used_at = ?, sign_count = ? WHERE id = ?", (self.clock(), sign_count, method_id)
            )

    def _insert(self, method: NewMethod) -> None:
        self.db.execute(
            f"INSERT INTO methods ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own column names
            (
                method.kind, method.label, method.secret, method.credential_id, method.public_key, method.sign_count,
                method.rp_id, self.clock(),
            ),
        )  # fmt: skip

    # ---- sessions ----
    def add_session(self, token_hash: bytes, method: str = "", agent: str = "", address: str = "") -> None:
        """Store a new session; the owner has just proved who they are."""
        now = self.clock()
        with transaction(self.db):
            self.db.execute(
                "INSERT INTO sessions (token_hash, created_at, seen_at, proved_at, method, agent, address) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (token_hash, now, now, now, method, agent, address),
            )

    def session(self, token_hash: bytes) -> StoredSession | None:
        """The session with this token hash."""
        row = self.db.execute("SELECT * FROM sessions WHERE token_hash = ?", (token_hash,)).fetchone()
        return None if row is None else StoredSession(**row)

    def sessions(self) -> list[StoredSession]:
        """Every session, the last used first."""
        return [StoredSession(**row) for row in self.db.execute("SELECT * FROM sessions ORDER BY seen_at DESC")]

    def touch(self, token_hash: bytes) -> None:
        """The session was used now."""
        with transaction(self.db):
            self.db.execute("UPDATE sessions SET seen_at = ? WHERE token_hash = ?", (self.clock(), token_hash))

    def proved(self, token_hash: bytes) -> None:
        """The owner proved again, in this session, who they are."""
        with transaction(self.db):
            self.db.execute("UPDATE sessions SET proved_at = ? WHERE token_hash = ?", (self.clock(), token_hash))

    def end_session(self, token_hash: bytes) -> None:
        """Forget one session."""
        with transaction(self.db):
            self.db.execute("DELETE FROM sessions WHERE token_hash = ?", (token_hash,))

    def end_other_sessions(self, token_hash: bytes) -> int:
        """Forget every session but this one; how many there were."""
        with transaction(self.db):
            return self.db.execute("DELETE FROM sessions WHERE token_hash != ?", (token_hash,)).rowcount

    def end_sessions_before(self, created: float, seen: float) -> None:
        """Forget sessions made before `created` or last used before `seen`, Unix seconds."""
        with transaction(self.db):
            self.db.execute("DELETE FROM sessions WHERE created_at < ? OR seen_at < ?", (created, seen))


def _method(row: sqlite3.Row) -> Method:
    what = NewMethod(
        row["kind"], row["label"], row["secret"], row["credential_id"], row["public_key"], row["sign_count"],
        row["rp_id"],
    )  # fmt: skip
    return Method(row["id"], what, row["created_at"], row["used_at"])
