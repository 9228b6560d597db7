"""The daemon learns the chain's bootnodes as soon as both answer, and again when they change; no failure ends it."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from swarm_chain.client import ChainClient
from swarm_core.errors import Unavailable
from swarm_core.runner import Service
from swarm_node import introducer
from swarm_node.exchange import Exchange
from swarm_node.introducer import Introducer

ADDRESS = "/ip4/192.0.2.1/tcp/38751/p2p/QmBoot"


class Chain:
    """Answers after `failures` refusals."""

    def __init__(self, failures: int, addresses: list[str]) -> None:
        self.failures = failures
        self.addresses = addresses

    async def bootnodes(self) -> list[str]:
        if self.failures:
            self.failures -= 1
            raise Unavailable("not yet")
        return self.addresses


class Daemon:
    """Takes what it is offered, or not."""

    def __init__(self, takes: bool = True) -> None:
        self.takes = takes
        self.offered: list[list[str]] = []
        self.thrice = asyncio.Event()

    async def offer_bootnodes(self, addresses: list[str]) -> bool:
        self.offered.append(addresses)
        if len(self.offered) == 3:
            self.thrice.set()
        return self.takes


def made(chain: Chain, daemon: Daemon) -> Introducer:
    return Introducer(cast(ChainClient, chain), cast(Exchange, daemon))


async def test_what_the_chain_names_is_offered() -> None:
    daemon = Daemon()
    assert await made(Chain(0, [ADDRESS]), daemon).introduce()
    assert daemon.offered == [[ADDRESS]]


@pytest.mark.parametrize(
    ("chain", "daemon"),
    [(Chain(1, [ADDRESS]), Daemon()), (Chain(0, []), Daemon()), (Chain(0, [ADDRESS]), Daemon(False))],
)
async def test_not_done_until_both_sides_answered_and_somebody_is_named(chain: Chain, daemon: Daemon) -> None:
    assert not await made(chain, daemon).introduce()


async def test_it_tries_until_it_worked_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introducer, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(introducer, "_AGAIN_SECONDS", 0.02)
    service, daemon, chain = Service("test"), Daemon(), Chain(2, [ADDRESS])
    running = asyncio.create_task(made(chain, daemon).run(service))
    async with asyncio.timeout(5):
        await daemon.thrice.wait()
    service.stop.set()
    async with asyncio.timeout(1):
        await running
    assert chain.failures == 0
