"""The worker API of the login service (ARCHITECTURE.md 4.3): bounded calls with the bearer token of a file.

Used for reports, bets and claims. The token file may come later than the worker, and change.
"""

from __future__ import annotations

from pathlib import Path

import httpx

from swarm_core.client import ServiceClient
from swarm_core.errors import Refused, Unavailable

ORG = "local"
_CALL_SECONDS = 2.0


class LoginClient:
    """Posts intents; each is idempotent by its own key, so a call may be repeated after any doubt."""

    def __init__(self, url: str, token_file: Path) -> None:
        self._url = url
        self._token_file = token_file
        self._client: ServiceClient | None = None

    async def post(self, path: str, body: dict[str, object]) -> httpx.Response:
        """Hand over an intent; the answer comes as soon as it is on disk. Raises Unavailable and Refused."""
        if self._client is None:
            self._client = ServiceClient(self._url, token=self._token())
        headers = {"prefer": "respond-async"}
        try:
            return await self._client.request(
                "POST", f"/api/{path}", deadline=_CALL_SECONDS, json={"orgId": ORG, **body}, headers=headers
            )
        except Refused as error:
            if error.status == 401:  # the login service has a new token: read it again next time
                await self.close()
            raise

    def _token(self) -> str:
        try:
            token = self._token_file.read_text().strip()
        except OSError as error:
            raise Unavailable(f"the token {self._token_file} cannot be read yet ({error.strerror})") from error
        if not token:
            raise Unavailable(f"the token {self._token_file} is empty")
        return token

    async def close(self) -> None:
        """Close the connection pool."""
        if self._client is not None:
            await self._client.close()
            self._client = None
