"""Behind Caddy every request comes from Caddy; its X-Forwarded-For tells from whom. Nobody else's word is believed.

Works with `guards`. The proxy is known by its name in the container network; its addresses are asked now and then.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time

from starlette.datastructures import Headers
from starlette.types import Scope

_FRESH_SECONDS = 30.0


class TrustedProxy:
    """The host `name` of the container network, or an address."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._addresses: frozenset[str] = frozenset()
        self._asked_at = float("-inf")

    async def rewrite(self, scope: Scope, headers: Headers) -> None:
        """Put the visitor's address into `scope` if the request comes from the proxy."""
        client = scope.get("client")
        if client is None or client[0] not in await self._known():
            return
        # Caddy appends the address it saw; what stands before came from the visitor and may be anything
        told = headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        try:
            scope["client"] = (str(ipaddress.ip_address(told)), 0)
        except ValueError:
            return

    async def _known(self) -> frozenset[str]:
        now = time.monotonic()
        if now - self._asked_at > _FRESH_SECONDS:
            self._asked_at = now
            try:
                found = await asyncio.get_running_loop().getaddrinfo(self._name, None, type=socket.SOCK_STREAM)
            except OSError:  # the proxy is not there (any more): nobody is trusted
                self._addresses = frozenset()
            else:
                self._addresses = frozenset(str(entry[4][0]) for entry in found)
        return self._addresses
