"""Keeps what the owner chose, and checks a Hub token before it is stored. Works with `swarm_core.choices`.

The token lies beside the worker API's token, on the volume that the workers can read: they push, this service does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError

from swarm_core.choices import HUB_TOKEN_NAME, NodeChoices
from swarm_core.errors import FatalError, SwarmError, Unavailable
from swarm_core.files import read_json, write_atomic, write_json
from swarm_core.hub_scope import may_write

MAX_TOKEN_CHARS = 256
_HUB_SECONDS = 10.0
_MAX_BYTES = 65_536


class BadToken(SwarmError):
    """The Hub does not know the token, or it may not write."""


class ChoiceStore:
    """The choices in `path`; the Hub token in `token_dir`. `hub_url` is where tokens are checked."""

    def __init__(
        self, path: Path, token_dir: Path, hub_url: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._path = path
        self.token_file = token_dir / HUB_TOKEN_NAME
        self._hub_url = hub_url.rstrip("/")
        self._transport = transport
        self.current = self._read()

    def _read(self) -> NodeChoices:
        try:
            stored = read_json(self._path, _MAX_BYTES)
            return NodeChoices() if stored is None else NodeChoices.model_validate(stored)
        except (ValueError, ValidationError, OSError) as error:
            raise FatalError(
                f"The choices in {self._path} are damaged.", "delete the file, then answer the questions again"
            ) from error

    def change(self, **answers: Any) -> bool:
        """Store `answers`; whether anything changed. Raises ValidationError, and OSError when the disk refuses."""
        values = {**self.current.model_dump(), **answers}
        if values == self.current.model_dump():
            return False
        changed = NodeChoices.model_validate({**values, "revision": self.current.revision + 1})
        write_json(self._path, changed.model_dump(mode="json"), 0o600)
        self.current = changed
        return True

    async def check_token(self, token: str) -> str:
        """The Hub's user whose token it is. Raises BadToken, or Unavailable when the Hub does not answer."""
        if not token.isascii() or not token.isprintable() or " " in token or not 8 <= len(token) <= MAX_TOKEN_CHARS:
            raise BadToken("that is no token")
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=_HUB_SECONDS) as client:
                answer = await client.get(
                    f"{self._hub_url}/api/whoami-v2", headers={"authorization": f"Bearer {token}"}
                )
        except httpx.HTTPError as error:
            raise Unavailable(f"the Hub does not answer ({type(error).__name__})") from error
        if answer.status_code in (401, 403):
            raise BadToken("the Hub does not know this token")
        try:
            told = answer.json() if answer.status_code == 200 else None
            account: dict[str, Any] = told if isinstance(told, dict) else {}
            writes = may_write(account) if account else None
        except (ValueError, AttributeError, TypeError) as error:
            raise Unavailable("the Hub gave no useful answer") from error
        if writes is None:
            raise Unavailable(f"the Hub answered {answer.status_code}")
        if not writes:
            raise BadToken("this token may only read")
        return str(account.get("name", ""))

    def store_token(self, token: str) -> None:
        """Write the token's file, for the workers' group to read."""
        write_atomic(self.token_file, f"{token}\n".encode(), 0o640)

    def forget_token(self) -> None:
        """Delete the token's file."""
        self.token_file.unlink(missing_ok=True)
