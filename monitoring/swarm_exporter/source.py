"""Reads typed documents from the unix sockets of worker, daemon and login service, within a bound.

Works with `swarm_core.client` and the models of `swarm_core.status`. Logs one line when a source goes away or comes
back, none in between.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from swarm_core.client import UnixClient
from swarm_core.errors import Refused, Unavailable
from swarm_core.log import get_logger

SECONDS = 1.0
T = TypeVar("T")
log = get_logger("source")


class Sockets:
    """Pooled clients, one a socket."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._clients: dict[Path, UnixClient] = {}
        self._down: dict[Path, str] = {}

    async def read(self, socket: Path, path: str, kind: TypeAdapter[T]) -> T | None:
        """The document at `path` of the service on `socket`; None when there is no usable one in time."""
        try:
            if not socket.exists():
                raise Unavailable("no such socket")
            document: Any = await self._client(socket).get_json(path, deadline=self._seconds)
            answer = kind.validate_python(document)
        except (Unavailable, Refused, OSError) as error:
            self._lost(socket, str(error))
            return None
        except ValidationError as error:
            self._lost(socket, f"{path}: not the expected document ({error.error_count()} errors)")
            return None
        if self._down.pop(socket, None) is not None:
            log.info("source is back", socket=socket)
        return answer

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.close()
        self._clients.clear()

    def _client(self, socket: Path) -> UnixClient:
        if socket not in self._clients:
            self._clients[socket] = UnixClient(socket)
        return self._clients[socket]

    def _lost(self, socket: Path, reason: str) -> None:
        if socket not in self._down:
            log.warning("source does not answer", socket=socket, reason=reason)
        self._down[socket] = reason
