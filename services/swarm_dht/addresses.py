"""Multiaddrs of peers, read without libp2p so that settings are checked before anything heavy is imported.

Only what p2pd here listens on and dials: /ip4, /ip6, /dns4 or /dns6 with /tcp/PORT or /udp/PORT/quic-v1.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from swarm_core.identity import is_peer_id

_MAX_CHARS = 512
_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


@dataclass(frozen=True)
class Address:
    """Where a peer listens. `transport` is `tcp` or `quic`; `text` the multiaddr without its /p2p part."""

    text: str
    host: str
    port: int
    transport: str


@dataclass(frozen=True)
class Bootnode:
    """A peer to join the swarm through."""

    peer_id: str
    address: Address

    @property
    def text(self) -> str:
        """The whole multiaddr."""
        return f"{self.address.text}/p2p/{self.peer_id}"


def parse_announced(text: str) -> Address:
    """The address in `text`, a multiaddr without /p2p. Raises ValueError that says what is wrong."""
    if len(text) > _MAX_CHARS:
        raise ValueError("a multiaddr is too long")
    parts = text.split("/")
    if len(parts) not in (5, 6) or parts[0]:
        raise ValueError(f"{text[:80]!r} is not a multiaddr like /ip4/203.0.113.7/tcp/38751")
    kind, host, layer, port_text = parts[1:5]
    _check_host(kind, host)
    if not port_text.isascii() or not port_text.isdecimal() or not 0 < int(port_text) < 65536:
        raise ValueError(f"{text[:80]!r} has no port between 1 and 65535")
    if layer == "tcp" and len(parts) == 5:
        return Address(text, host, int(port_text), "tcp")
    if layer == "udp" and parts[5:] == ["quic-v1"]:
        return Address(text, host, int(port_text), "quic")
    raise ValueError(f"{text[:80]!r} must end in /tcp/PORT or /udp/PORT/quic-v1")


def parse_known(text: str) -> Address | None:
    """The address in `text` as p2pd wrote it, None when it is of a kind that cannot be dialled again (a relay)."""
    try:
        return parse_announced(text.partition("/p2p/")[0])
    except ValueError:
        return None


def parse_bootnode(text: str) -> Bootnode:
    """The bootnode in `text`, a multiaddr with /p2p/<peer id>. Raises ValueError that says what is wrong."""
    address, separator, peer_id = text.rpartition("/p2p/")
    if not separator or not is_peer_id(peer_id):
        raise ValueError(f"{text[:80]!r} does not end in /p2p/<peer id>")
    return Bootnode(peer_id, parse_announced(address))


def _check_host(kind: str, host: str) -> None:
    if kind in ("ip4", "ip6"):
        try:
            if ipaddress.ip_address(host).version != int(kind[2]):
                raise ValueError
        except ValueError:
            raise ValueError(f"{host[:80]!r} is not an /{kind} address") from None
    elif kind in ("dns4", "dns6", "dns"):
        if not _HOST_NAME.fullmatch(host):
            raise ValueError(f"{host[:80]!r} is not a host name")
    else:
        raise ValueError(f"a multiaddr starts with /ip4, /ip6 or /dns4, not /{kind[:20]}")
