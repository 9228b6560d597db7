"""HTTP clients between our processes: over a unix socket or over TCP with a bearer token.

Each call has a deadline that covers all its attempts; attempts are repeated with full jitter when the call is
idempotent; a breaker answers at once after a row of exhausted calls, and lets one probe through each cool-down.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import httpx

from swarm_core.errors import Refused, Unavailable

_CONNECT_SECONDS = 0.5
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0


class Breaker:
    """Opens after `limit` failures in a row; while open one call per `cooldown` seconds may try."""

    def __init__(self, limit: int = 3, cooldown: float = 1.0) -> None:
        self._limit = limit
        self._cooldown = cooldown
        self._failures = 0
        self._next_try = 0.0

    def admits(self, now: float) -> bool:
        """Whether a call may be made at `now` (seconds, monotonic)."""
        if self._failures < self._limit:
            return True
        if now < self._next_try:
            return False
        self._next_try = now + self._cooldown
        return True

    def record(self, success: bool, now: float) -> None:
        """Tell how a call ended."""
        if success:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= self._limit:
            self._next_try = now + self._cooldown


class ServiceClient:
    """Client of one of our services at `base_url`."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # trust_env=False: a proxy variable of the host must not capture traffic between our containers
        self._http = httpx.AsyncClient(base_url=base_url, headers=headers, transport=transport, trust_env=False)
        self._breaker = breaker or Breaker()

    async def request(
        self,
        method: str,
        path: str,
        *,
        deadline: float,
        json: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
        idempotent: bool = True,
    ) -> httpx.Response:
        """One call within `deadline` seconds.

        Returns a 2xx or 3xx answer. Raises Refused for a 4xx other than 429, Unavailable for everything else.
        """
        loop = asyncio.get_running_loop()
        if not self._breaker.admits(loop.time()):
            raise Unavailable(f"{method} {path}: not tried, the last calls failed")
        end = loop.time() + deadline
        pause, reason = _FIRST_PAUSE, "no attempt"
        while (left := end - loop.time()) > 0:
            try:
                timeout = httpx.Timeout(left, connect=min(_CONNECT_SECONDS, left))
                async with asyncio.timeout(left):
                    answer = await self._http.request(
                        method, path, json=json, content=content, headers=headers, timeout=timeout
                    )
            except (httpx.TransportError, TimeoutError) as error:
                reason = type(error).__name__
            else:
                if answer.status_code < 400:
                    self._breaker.record(True, loop.time())
                    return answer
                if answer.status_code < 500 and answer.status_code != 429:
                    self._breaker.record(True, loop.time())
                    raise Refused(answer.status_code, answer.text[:500])
                reason = f"status {answer.status_code}"
            if not idempotent:
                break
            pause = min(pause * 2, _LONGEST_PAUSE)
            wait = random.uniform(0, pause)
            if loop.time() + wait >= end:
                break
            await asyncio.sleep(wait)
        self._breaker.record(False, loop.time())
        raise Unavailable(f"{method} {path}: {reason}")

    async def get_json(self, path: str, *, deadline: float) -> Any:
        """The JSON of a GET. Raises as `request`; an answer that is not JSON is Unavailable."""
        answer = await self.request("GET", path, deadline=deadline)
        try:
            return answer.json()
        except ValueError as error:
            raise Unavailable(f"GET {path}: the answer is not JSON") from error

    async def close(self) -> None:
        """Close pooled connections."""
        await self._http.aclose()


class UnixClient(ServiceClient):
    """Client of a service on the unix socket `path`."""

    def __init__(self, path: Path, breaker: Breaker | None = None) -> None:
        super().__init__("http://service", transport=httpx.AsyncHTTPTransport(uds=str(path)), breaker=breaker)
        self.path = path
