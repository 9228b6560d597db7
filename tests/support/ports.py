"""Ports for what tests and benchmarks start."""

from __future__ import annotations

import contextlib
import random
import socket

# below the range that connections are made from: p2pd, too, dials from there
_FIRST, _LAST = 20000, 32000


def free_port(share: int = 0, shares: int = 1) -> int:
    """A port on loopback that nothing uses now, TCP or UDP; one of part `share` of all ports, when split in `shares`.

    Whoever picks many ports before they are listened on, in several processes, gives each pick a share of its own:
    of 64 picks without shares two are equal in one run of six.
    """
    size = (_LAST - _FIRST) // shares
    while True:
        port = _FIRST + share * size + random.randrange(size)
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                probes.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", port))
            return port
