"""The owner and the sessions on disk. Works with `database`; tokens come in as hashes only."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from login_proxy.database import open_database, transaction

MIGRATIONS = (
    """
    CREATE TABLE owner (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        password_hash TEXT NOT NULL,
        claimed_at REAL NOT NULL
    ) STRICT;
    CREATE TABLE sessions (
        token_hash BLOB PRIMARY KEY,
        created_at REAL NOT NULL,
        seen_at REAL NOT NULL
    ) STRICT;
    """,
)


@dataclass(frozen=True)
class StoredSession:
    """Times of a session, Unix seconds."""

    created_at: float
    seen_at: float


class AccessStore:
    """One owner at most; any number of sessions. `clock` gives Unix seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._db = open_database(path, MIGRATIONS)
        self._clock = clock

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def password_hash(self) -> str | None:
        """The owner's password hash, None while nobody claimed the node."""
        row = self._db.execute("SELECT password_hash FROM owner").fetchone()
        return None if row is None else str(row["password_hash"])

    def claim(self, password_hash: str) -> bool:
        """Make the owner. False, and nothing changed, when there is one."""
        with transaction(self._db):
            cursor = self._db.execute(
                "INSERT INTO owner (id, password_hash, claimed_at) VALUES (1, ?, ?) ON CONFLICT (id) DO NOTHING",
                (password_hash, self._clock()),
            )
        return cursor.rowcount == 1

    def add_session(self, token_hash: bytes) -> None:
        """Store a new session."""
        now = self._clock()
        with transaction(self._db):
            self._db.execute("INSERT INTO sessions VALUES (?, ?, ?)", (token_hash, now, now))

    def session(self, token_hash: bytes) -> StoredSession | None:
        """The session with this token hash."""
        row = self._db.execute("SELECT * FROM sessions WHERE token_hash = ?", (token_hash,)).fetchone()
        return None if row is None else StoredSession(row["created_at"], row["seen_at"])

    def touch(self, token_hash: bytes) -> None:
        """The session was used now."""
        with transaction(self._db):
            self._db.execute("UPDATE sessions SET seen_at = ? WHERE token_hash = ?", (self._clock(), token_hash))

    def end_session(self, token_hash: bytes) -> None:
        """Forget one session."""
        with transaction(self._db):
            self._db.execute("DELETE FROM sessions WHERE token_hash = ?", (token_hash,))

    def end_sessions_before(self, created: float, seen: float) -> None:
        """Forget sessions made before `created` or last used before `seen`, Unix seconds."""
        with transaction(self._db):
            self._db.execute("DELETE FROM sessions WHERE created_at < ? OR seen_at < ?", (created, seen))
