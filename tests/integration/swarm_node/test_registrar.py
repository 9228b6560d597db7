"""The daemon hears which account owns which peer: new ones at once, unregistered ones again, after a restart all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from tests.support.stub_daemon import PEER, StubDaemon

from swarm_chain.client import ChainClient
from swarm_core.errors import Unavailable
from swarm_node.exchange import Exchange
from swarm_node.registrar import Registrar


class Chain:
    """Knows who owns what."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {"QmA": "0xaa"}
        self.asked: list[list[str]] = []
        self.down = False

    async def owners(self, peers: list[str]) -> list[str | None]:
        if self.down:
            raise Unavailable("no chain")
        self.asked.append(peers)
        return [self.known.get(peer) for peer in peers]


async def test_owners_are_told_and_asked_again_when_due(tmp_path: Path) -> None:
    chain: Any = Chain()
    with StubDaemon(tmp_path / "dht.sock") as daemon:
        exchange = Exchange(daemon.path)
        registrar = Registrar(cast(ChainClient, chain), exchange)
        daemon.known_peers = ["QmA", "QmB"]
        chain.down = True
        assert await registrar.tick(0.0) == 0
        chain.down = False
        assert await registrar.tick(0.0) == 3
        assert daemon.owners == {PEER: None, "QmA": "0xaa", "QmB": None}
        assert await registrar.tick(10.0) == 0
        chain.known["QmB"] = "0xbb"
        assert await registrar.tick(31.0) == 2
        assert daemon.owners["QmB"] == "0xbb"
        assert chain.asked == [[PEER, "QmA", "QmB"], [PEER, "QmB"]]
        daemon.known_peers = [f"Qm{number}" for number in range(200)]
        assert await registrar.tick(32.0) == 64
    assert await registrar.tick(100.0) == 0, "no daemon, no error"
    await exchange.close()
