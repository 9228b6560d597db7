"""Peers that join in the same moment find each other at once; one that comes back finds those it remembers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.support.daemons import Daemons

_PEERS = 4
_SECONDS = 12.0


def test_peers_that_join_together_find_each_other(daemons: Daemons) -> None:
    names = ["bootnode", *(f"peer{number}" for number in range(_PEERS))]
    started = [daemons.make(name).start() for name in names]
    bootnode, *peers = [daemon.up() for daemon in started]
    address = f"{bootnode.address}"

    def offer(number: int) -> int:
        return int(peers[number].http.put("/v1/bootnodes", json={"addresses": [address]}).status_code)

    with ThreadPoolExecutor(_PEERS) as pool:
        assert list(pool.map(offer, range(_PEERS))) == [204] * _PEERS
    for peer in peers:
        peer.wait(lambda status: status["peers"] == _PEERS, _SECONDS)


def test_a_restarted_peer_finds_the_swarm_without_its_bootnode(daemons: Daemons) -> None:
    bootnode = daemons.start("bootnode").up()
    one, two = (daemons.start(name, bootnode.address) for name in ("one", "two"))
    for peer in (one, two):
        peer.wait(lambda status: status["peers"] == 2, _SECONDS)
    one.wait(lambda status: status["remembered"] >= 2, 45)
    bootnode.kill()
    one.kill()
    one.start()
    status = one.wait(lambda status: status["peers"] == 1, 60)
    assert status["state"] == "ready"
    one.wait(lambda status: {"dht_ping", "dht_find"} <= {*status["traffic_sent"], *status["traffic_received"]}, 60)
