"""`join.env` names everything that a joiner needs, in known variables that parse, and no address nobody can reach."""

from __future__ import annotations

import pytest

from swarm_chain.deployment import Deployment
from swarm_core.env_names import KNOWN_NAMES
from swarm_core.errors import FatalError
from swarm_gateway.join_env import join_env, multiaddr_host, tcp_port

DEPLOYMENT = Deployment(53855, "0x00", "0x" + "c0" * 20, 1, market="0x" + "ab" * 20)
PEER = "QmPeer"


def test_every_line_is_a_known_variable_and_complete() -> None:
    text = join_env(DEPLOYMENT, PEER, "swarm.example", 8645, 38751)
    values = dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))
    assert set(values) <= KNOWN_NAMES
    assert values == {
        "SWARM_ENV_VERSION": "1",
        "SWARM_LOCAL_SWARM": "0",
        "SWARM_RPC_URL": "http://swarm.example:8645",
        "SWARM_CHAIN_ID": "53855",
        "SWARM_COORDINATOR": "0x" + "c0" * 20,
        "SWARM_MARKET": "0x" + "ab" * 20,
        "SWARM_BOOTNODES": "/dns4/swarm.example/tcp/38751/p2p/QmPeer",
        "SWARM_JUDGE_URL": "http://swarm.example:8645/judge",
        "SWARM_SUBMIT_SECONDS": "0",
        "SWARM_LOGIN": "auto",
    }


def test_addresses() -> None:
    assert multiaddr_host("203.0.113.7") == "/ip4/203.0.113.7"
    assert multiaddr_host("2001:db8::1") == "/ip6/2001:db8::1"
    assert "SWARM_RPC_URL=http://[2001:db8::1]:8645" in join_env(DEPLOYMENT, PEER, "2001:db8::1", 8645, 1)
    assert tcp_port(["/ip4/172.18.0.2/udp/38751/quic-v1", "/ip4/172.18.0.2/tcp/4001"]) == 4001


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0", "not a host", "a/b", "", "-x", "x" * 300])
def test_what_nobody_can_reach(host: str) -> None:
    with pytest.raises(FatalError):
        multiaddr_host(host)


def test_a_daemon_without_tcp() -> None:
    with pytest.raises(FatalError):
        tcp_port([])
