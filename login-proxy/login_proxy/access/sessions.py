"""Sessions: a 256-bit random token in a cookie, its SHA-256 in `access.store`. They survive restarts."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from login_proxy.access.methods import clean_label
from login_proxy.access.store import AccessStore, StoredSession

IDLE_SECONDS = 7 * 86_400.0
ABSOLUTE_SECONDS = 60 * 86_400.0
# how long a proof of who somebody is suffices for export, reset and changes of the methods
PROOF_SECONDS = 300.0
_TOUCH_SECONDS = 60.0  # a page that refreshes itself must not write at every request
_TOKEN_BYTES = 32
_MAX_TOKEN_CHARS = 64


@dataclass(frozen=True)
class Session:
    """A valid session. `proved`: the owner proved within `PROOF_SECONDS` who they are."""

    stored: StoredSession
    proved: bool

    @property
    def id(self) -> str:
        """A name for lists and revocation; says nothing about the token."""
        return session_id(self.stored)


def session_id(stored: StoredSession) -> str:
    """A name of the session that is no secret."""
    return hashlib.sha256(b"session id" + stored.token_hash).hexdigest()[:16]


class Sessions:
    """Starts, checks and ends sessions. `clock` gives Unix seconds, the same as the store's."""

    def __init__(self, store: AccessStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def start(self, method: str = "", agent: str = "", address: str = "") -> str:
        """A new session's token, for the cookie."""
        now = self._clock()
        self._store.end_sessions_before(now - ABSOLUTE_SECONDS, now - IDLE_SECONDS)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._store.add_session(_digest(token), method, clean_label(agent), address)
        return token

    def find(self, token: str | None) -> Session | None:
        """The session of the token, if it is neither idle for too long nor too old."""
        if not token or len(token) > _MAX_TOKEN_CHARS:
            return None
        digest, now = _digest(token), self._clock()
        stored = self._store.session(digest)
        if stored is None:
            return None
        if self._ended(stored, now):
            self._store.end_session(digest)
            return None
        if now - stored.seen_at > _TOUCH_SECONDS:
            self._store.touch(digest)
        return Session(stored, proved=now - stored.proved_at <= PROOF_SECONDS)

    def is_valid(self, token: str | None) -> bool:
        """Whether `find` has one."""
        return self.find(token) is not None

    def living(self) -> list[StoredSession]:
        """Sessions that have not ended, the last used first."""
        now = self._clock()
        return [stored for stored in self._store.sessions() if not self._ended(stored, now)]

    def prove(self, session: Session) -> None:
        """The owner proved again who they are."""
        self._store.proved(session.stored.token_hash)

    def end(self, token: str | None) -> None:
        """Sign out."""
        if token and len(token) <= _MAX_TOKEN_CHARS:
            self._store.end_session(_digest(token))

    def revoke(self, wanted: str) -> bool:
        """End the session with this `session_id`; False if there is none."""
        for stored in self._store.sessions():
            if session_id(stored) == wanted:
                self._store.end_session(stored.token_hash)
                return True
        return False

    def revoke_others(self, session: Session) -> int:
        """End every session but this one; how many there were."""
        return self._store.end_other_sessions(session.stored.token_hash)

    @staticmethod
    def _ended(stored: StoredSession, now: float) -> bool:
        return now - stored.created_at > ABSOLUTE_SECONDS or now - stored.seen_at > IDLE_SECONDS


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
