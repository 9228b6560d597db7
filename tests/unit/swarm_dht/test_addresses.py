"""Multiaddrs of bootnodes and announced addresses: what p2pd can use is read, the rest is refused with a reason."""

from __future__ import annotations

import pytest

from swarm_dht.addresses import parse_announced, parse_bootnode

PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


@pytest.mark.parametrize(
    ("text", "host", "port", "transport"),
    [
        ("/ip4/203.0.113.7/tcp/38751", "203.0.113.7", 38751, "tcp"),
        ("/ip6/2001:db8::1/tcp/1", "2001:db8::1", 1, "tcp"),
        ("/dns4/bootnode/tcp/38751", "bootnode", 38751, "tcp"),
        ("/dns4/swarm.example.org/udp/65535/quic-v1", "swarm.example.org", 65535, "quic"),
    ],
)
def test_good_addresses(text: str, host: str, port: int, transport: str) -> None:
    address = parse_announced(text)
    assert (address.text, address.host, address.port, address.transport) == (text, host, port, transport)
    bootnode = parse_bootnode(f"{text}/p2p/{PEER}")
    assert (bootnode.peer_id, bootnode.address) == (PEER, address)
    assert bootnode.text == f"{text}/p2p/{PEER}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not a multiaddr"),
        ("203.0.113.7:38751", "not a multiaddr"),
        ("x/ip4/203.0.113.7/tcp/1", "not a multiaddr"),
        ("/ip4/300.0.113.7/tcp/1", "not an /ip4 address"),
        ("/ip4/2001:db8::1/tcp/1", "not an /ip4 address"),
        ("/ip6/203.0.113.7/tcp/1", "not an /ip6 address"),
        ("/unix/tmp/x/tcp/1", "must end|starts with|not a multiaddr|no port"),
        ("/dns4/-bad-/tcp/1", "not a host name"),
        ("/dns4/a b/tcp/1", "not a host name"),
        ("/ip4/1.2.3.4/tcp/0", "no port"),
        ("/ip4/1.2.3.4/tcp/65536", "no port"),
        ("/ip4/1.2.3.4/tcp/²", "no port"),
        ("/ip4/1.2.3.4/udp/5/quic", "must end"),
        ("/ip4/1.2.3.4/tcp/5/quic-v1", "must end"),
        ("/ip4/1.2.3.4/" + "x" * 600, "too long"),
    ],
)
def test_bad_addresses(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_announced(text)


@pytest.mark.parametrize("end", ["", "/p2p/", "/p2p/0OIl", "/p2p/" + "Q" * 200])
def test_a_bootnode_needs_a_peer_id(end: str) -> None:
    with pytest.raises(ValueError, match="p2p"):
        parse_bootnode("/ip4/1.2.3.4/tcp/5" + end)
