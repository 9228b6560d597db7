"""Sessions: a 256-bit random token in a cookie, its SHA-256 in `access.store`. They survive restarts."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable

from login_proxy.access.store import AccessStore

IDLE_SECONDS = 7 * 86_400.0
ABSOLUTE_SECONDS = 60 * 86_400.0
_TOUCH_SECONDS = 60.0  # a page that refreshes itself must not write at every request
_TOKEN_BYTES = 32
_MAX_TOKEN_CHARS = 64


class Sessions:
    """Starts, checks and ends sessions. `clock` gives Unix seconds, the same as the store's."""

    def __init__(self, store: AccessStore, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._clock = clock

    def start(self) -> str:
        """A new session's token, for the cookie."""
        now = self._clock()
        self._store.end_sessions_before(now - ABSOLUTE_SECONDS, now - IDLE_SECONDS)
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        self._store.add_session(_digest(token))
        return token

    def is_valid(self, token: str | None) -> bool:
        """Whether the token belongs to a session that is neither idle for too long nor too old."""
        if not token or len(token) > _MAX_TOKEN_CHARS:
            return False
        digest, now = _digest(token), self._clock()
        session = self._store.session(digest)
        if session is None:
            return False
        if now - session.created_at > ABSOLUTE_SECONDS or now - session.seen_at > IDLE_SECONDS:
            self._store.end_session(digest)
            return False
        if now - session.seen_at > _TOUCH_SECONDS:
            self._store.touch(digest)
        return True

    def end(self, token: str | None) -> None:
        """Sign out."""
        if token and len(token) <= _MAX_TOKEN_CHARS:
            self._store.end_session(_digest(token))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
