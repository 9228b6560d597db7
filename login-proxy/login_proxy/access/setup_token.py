"""The setup token: who can read the node's log may claim it, once.

192 random bits, in the log and in a file of mode 0600, made anew at every start and every day while nobody owns the
node, gone as soon as somebody does.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path

from swarm_core.files import write_atomic

VALID_SECONDS = 86_400.0
_TOKEN_BYTES = 24


class SetupToken:
    """The current token and its file. `clock` gives monotonic seconds."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._token: str | None = None
        self._made_at = 0.0

    def rotate(self) -> str:
        """A new token; any older one is void."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        write_atomic(self._path, f"{token}\n".encode(), 0o600)
        self._token, self._made_at = token, self._clock()
        return token

    def expired(self) -> bool:
        """Whether there is no token that could be used."""
        return self._token is None or self._clock() - self._made_at >= VALID_SECONDS

    def matches(self, offered: str) -> bool:
        """Whether `offered` is the valid token; takes the same time whatever is offered."""
        expected = (
            self._token if self._token is not None and not self.expired() else secrets.token_urlsafe(_TOKEN_BYTES)
        )
        return hmac.compare_digest(expected.encode(), offered.strip().encode())

    def void(self) -> None:
        """The node has an owner: the token and its file go."""
        self._token = None
        self._path.unlink(missing_ok=True)
