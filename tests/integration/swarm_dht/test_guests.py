"""Peers that nobody can dial leave signed batches with others, and reach each other by them; who is one is probed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.support.daemons import Daemon, Daemons, group, poll


def test_private_peers_use_each_others_groups_through_a_public_one(daemons: Daemons) -> None:
    bootnode = daemons.start("bootnode").up()
    public = daemons.start("public", bootnode.address)
    homes = [daemons.start(name, bootnode.address, SWARM_REACHABILITY="private") for name in ("home1", "home2")]
    peers: list[Daemon] = [public, *homes]
    with ThreadPoolExecutor(3) as pool:
        ids = list(pool.map(lambda peer: peer.wait(lambda status: status["state"] == "ready")["peer_id"], peers))
    for number, peer in enumerate(peers):
        peer.publish(1, group(number + 1))
    for place, peer in enumerate(peers):
        others = {ids[other]: other + 1 for other in range(3) if other != place}

        def heard(peer: Daemon = peer, others: dict[str, int] = others) -> bool:
            batches, counts = peer.collect()
            assert counts["rejected"] == {}
            return {author: batch.groups[0].seed for author, batch in batches.items()} == others

        poll(heard, 20, f"all others' groups at {peer.directory.name}")
    assert public.wait(lambda status: status["reachability"] != "unknown", 30)["reachability"] == "public"
    assert homes[0].status()["deposits"]["taken"] >= 1
    assert bootnode.status()["guests_hosted"] + public.status()["guests_hosted"] >= 2
