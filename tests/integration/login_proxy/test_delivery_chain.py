"""Delivery against a real node and the real market: a stuck transaction is replaced and counts once; a number that
another program took is certain only in a finalised block; bets and claims arrive once and can be asked about."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.chains import LocalChain
from tests.support.fake_chain import FakeClock
from tests.support.market_host import MarketHost, Secrets

from login_proxy.node_chain import NodeChain
from login_proxy.outbox.bids import PATIENCE_SECONDS
from login_proxy.outbox.delivery import Delivery
from login_proxy.outbox.eoa import EoaSubmitter
from login_proxy.outbox.fees import GWEI
from login_proxy.outbox.intents import State, Target, claim, guess, register
from login_proxy.outbox.store import OutboxStore
from login_proxy.target import read_target
from login_proxy.wallet import Wallet
from swarm_chain.records import Fees
from swarm_chain.settings import ChainSettings
from swarm_chain.wallet import Wallet as HostWallet
from swarm_chain.wallet import sign

KEY = b"\x41" * 32
PEER = "QmPeer"


class Gate:
    """Lets the peer through."""

    def __init__(self) -> None:
        self.bound, self.registered = {PEER}, {PEER}

    def doubt(self, peer_id: str) -> None:
        """Nothing to doubt here."""


class Bench:
    """An outbox, a real chain, a clock set by hand."""

    def __init__(self, chain: LocalChain, directory: Path) -> None:
        settings = ChainSettings(rpc_url=chain.rpc_url, deployment_file=chain.deployment_file)
        self.client = NodeChain(settings)
        self.target: Target = read_target(settings)
        self.store = OutboxStore(directory / "outbox.sqlite", self.target)
        self.host = HostWallet(self.client, KEY)
        self.clock = FakeClock()
        self.submitter = EoaSubmitter(Wallet(self.host.account), self.client)
        self.delivery = Delivery(self.store, self.client, self.submitter, Gate(), self.clock)

    async def rpc(self, method: str, *params: Any) -> Any:
        return await self.client.rpc.call(method, *params)

    async def steps(self, count: int = 3) -> None:
        for _ in range(count):
            await self.delivery.step()

    def state(self, key: str) -> State:
        intent = self.store.get(key)
        assert intent is not None
        return intent.state


@pytest.fixture
async def bench(chain: LocalChain, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(chain, tmp_path)
    yield bench
    bench.store.close()
    await bench.client.close()


async def test_a_stuck_transaction_is_replaced_and_counts_once(bench: Bench) -> None:
    await bench.rpc("anvil_setBalance", bench.host.address, hex(10**18))
    await bench.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    await bench.rpc("evm_mine")
    await bench.rpc("evm_setAutomine", False)
    key = bench.store.put(register(PEER))[0].key
    await bench.delivery.step()
    (first,) = bench.store.sent()[0].attempts
    assert first.fees.max_fee > 0
    bench.clock.now += PATIENCE_SECONDS
    await bench.delivery.step()
    offers = bench.store.sent()[0].attempts
    assert [attempt.nonce for attempt in offers] == [0, 0]
    assert offers[1].fees.max_fee * 10 >= offers[0].fees.max_fee * 11
    waiting = await bench.rpc("txpool_content")
    (held,) = [tx for account in waiting["pending"].values() for tx in account.values()]
    assert held["hash"] == offers[1].hash, "the node took the better offer in the place of the first"
    await bench.rpc("evm_mine")
    await bench.steps(1)
    intent = bench.store.get(key)
    assert intent is not None
    assert (intent.state, intent.tx_hash) == (State.DELIVERED, offers[1].hash)
    assert await bench.client.nonce(bench.host.address) == 1
    assert (await bench.client.owners([PEER]))[0] is not None


async def test_a_taken_number_is_certain_only_in_a_finalised_block(bench: Bench) -> None:
    async def other(nonce: int) -> str:
        signed = sign(
            bench.host.account, chain_id=bench.client.chain_id, nonce=nonce, gas=21_000, fees=Fees(0, 0), data=b"",
            to=bench.host.address,
        )  # fmt: skip
        await bench.client.send_raw(signed.raw)
        return signed.hash

    mined = await other(0)
    ours = "0x" + "99" * 32
    lost = bench.client.lost_for_good
    assert not await lost(bench.host.address, 0, [ours]), "mined, but the block may still go"
    await bench.rpc("evm_mine")
    await bench.rpc("evm_mine")
    assert await lost(bench.host.address, 0, [ours])
    assert not await lost(bench.host.address, 0, [ours, mined]), "one of them had effect"
    assert not await lost(bench.host.address, 1, [ours]), "the number is free"


async def test_bets_and_claims_arrive_once_and_can_be_asked_about(bench: Bench, chain: LocalChain) -> None:
    host, secrets = MarketHost(chain, bench.client), Secrets()
    game = await host.new_game(secrets)
    assert bench.target.market
    bench.store.put(register(PEER))
    await bench.steps()
    assert await bench.client.bet_of(game, 0, PEER) == 0
    assert await bench.client.bet_of(game + 7, 0, PEER) == 0, "no such game"
    bet = bench.store.put(guess(PEER, game, 0, secrets.answer, 500))[0].key
    await bench.steps()
    assert bench.state(bet) is State.DELIVERED
    assert await bench.client.bet_of(game, 0, PEER) == 500

    early = bench.store.put(claim(PEER, game))[0].key
    await bench.steps()
    assert bench.state(early) is State.QUEUED
    late = bench.store.put(guess(PEER, game, 9, 0, 5))[0].key  # a clue that is not the current one
    for _ in range(6):
        bench.store._db.execute("UPDATE intents SET not_before = 0")
        await bench.steps(1)
    assert bench.state(late) is State.REJECTED
    await host.next_round(game, len(secrets.clues))
    await host.send(host.master, secrets.answer_call(game))
    assert await bench.client.has_claimed(game, PEER) is False
    bench.store._db.execute("UPDATE intents SET not_before = 0")
    await bench.steps()
    assert bench.state(early) is State.DELIVERED
    assert await bench.client.has_claimed(game, PEER) is True
    assert await host.market.total_paid(PEER) == 500


async def test_a_market_without_such_views_says_that_it_cannot_tell(chain: LocalChain) -> None:
    coordinator = ChainSettings(rpc_url=chain.rpc_url, deployment_file=chain.deployment_file)
    async with NodeChain(coordinator) as client:
        address = client.coordinator  # code, but no market: as upstream's market, which lacks the views
    settings = ChainSettings(rpc_url=chain.rpc_url, deployment_file=chain.deployment_file, market=address)
    async with NodeChain(settings) as client:
        assert await client.bet_of(0, 0, PEER) is None
        assert await client.has_claimed(0, PEER) is None
