"""Is the libp2p port free? p2pd would not tell: it sets SO_REUSEPORT, so two of them share a port and its callers."""

from __future__ import annotations

import asyncio
import socket

from swarm_core.errors import FatalError

_POLL_SECONDS = 0.1


def port_problem(host: str, port: int) -> str | None:
    """Why p2pd could not have `port` (TCP and UDP) on `host` for itself; None when it is free."""
    for kind, name in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
            try:
                probe.bind((host, port))
            except OSError as error:
                return f"{name} port {port} on {host}: {error.strerror}"
    return None


async def wait_free(host: str, port: int, seconds: float) -> None:
    """Wait until the port is free (an earlier daemon's p2pd takes 0.3 s to end). Raises FatalError after `seconds`."""
    end = asyncio.get_running_loop().time() + seconds
    while (problem := port_problem(host, port)) is not None:
        if asyncio.get_running_loop().time() >= end:
            raise FatalError(f"libp2p cannot listen: {problem}.", "stop what uses it, or set SWARM_P2P_PORT")
        await asyncio.sleep(_POLL_SECONDS)
