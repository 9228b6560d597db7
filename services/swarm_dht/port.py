"""Is the libp2p port free? p2pd would not tell: it sets SO_REUSEPORT, so two of them share a port and its callers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from swarm_core.errors import FatalError

_POLL_SECONDS = 0.1


def port_problem(hosts: Sequence[IPv4Address | IPv6Address], port: int) -> str | None:
    """Why p2pd could not have `port` (TCP and UDP) on `hosts` for itself; None when it is free."""
    for host in hosts:
        for kind, name in ((socket.SOCK_STREAM, "tcp"), (socket.SOCK_DGRAM, "udp")):
            try:
                _bind(host, kind, port)
            except OSError as error:
                return f"{name} port {port} on {host}: {error.strerror}"
    return None


def _bind(host: IPv4Address | IPv6Address, kind: socket.SocketKind, port: int) -> None:
    """Have the port for a moment. Raises OSError."""
    with socket.socket(socket.AF_INET if host.version == 4 else socket.AF_INET6, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections in TIME_WAIT do not count
        if host.version == 6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # as libp2p does
        probe.bind((str(host), port))


async def wait_free(hosts: Sequence[IPv4Address | IPv6Address], port: int, seconds: float) -> None:
    """Wait until the port is free (an earlier daemon's p2pd takes 0.3 s to end). Raises FatalError after `seconds`."""
    end = asyncio.get_running_loop().time() + seconds
    while (problem := port_problem(hosts, port)) is not None:
        if asyncio.get_running_loop().time() >= end:
            raise FatalError(f"libp2p cannot listen: {problem}.", "stop what uses it, or set SWARM_P2P_PORT")
        await asyncio.sleep(_POLL_SECONDS)
