"""The writer: whatever the chain does, the state is named, nothing is lost, and it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.fake_chain import CONTRACT, FakeChain, FakeSigner

from login_proxy.outbox import writer as writing
from login_proxy.outbox.intents import State, Target, reward
from login_proxy.outbox.store import OutboxStore
from login_proxy.outbox.writer import Writer
from swarm_chain.deployment import Deployment, write_deployment
from swarm_chain.errors import RpcRefused, WrongChain, WrongContract
from swarm_chain.settings import ChainSettings
from swarm_core.errors import Unavailable
from swarm_core.runner import Service


class Willing:
    """All daemons sign; peer A is there."""

    async def views(self, max_age: float) -> object:
        return []

    async def bind(self, peer_id: str, account: str, chain_id: int, contract: str) -> bool:
        return True


def deploy(path: Path, contract: str = CONTRACT, genesis: str = "genesis") -> Target:
    write_deployment(path, Deployment(1, genesis, contract, 1))
    return Target(1, contract, genesis)


@pytest.fixture
def deployment(tmp_path: Path) -> Path:
    return tmp_path / "deployment.json"


@pytest.fixture
def store(tmp_path: Path, deployment: Path) -> OutboxStore:
    store = OutboxStore(tmp_path / "outbox.sqlite", deploy(deployment))
    store.add_peer("A", "main")
    return store


@pytest.fixture
async def writer(
    store: OutboxStore, chain: FakeChain, deployment: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Writer]:
    for name in ("IDLE_SECONDS", "BUSY_SECONDS", "HELD_SECONDS", "WRONG_SECONDS", "_FIRST_BACKOFF", "_LONGEST_BACKOFF"):
        monkeypatch.setattr(writing, name, 0.01)
    settings = ChainSettings(chain_id=1, deployment_file=deployment)
    writer = Writer(settings, store, chain, Willing())  # type: ignore[arg-type]
    service = Service("test")
    task = asyncio.create_task(writer.run(service))
    yield writer
    service.stop.set()
    writer.wake()
    await asyncio.wait_for(task, 5)
    store.close()


async def until(check: object, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not check():  # type: ignore[operator]  # noqa: ASYNC110 - a poll with a deadline
            await asyncio.sleep(0.005)


def state_of(store: OutboxStore, key: str) -> State:
    intent = store.get(key)
    assert intent is not None
    return intent.state


async def test_nothing_is_signed_without_an_account(writer: Writer, store: OutboxStore, chain: FakeChain) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    await until(lambda: writer.chain.state == "ok")
    await until(lambda: chain.preflights > 2)
    assert state_of(store, key) is State.QUEUED
    writer.use(FakeSigner())
    await until(lambda: state_of(store, key) is State.DELIVERED)


async def test_an_outage_is_named_and_waited_out(writer: Writer, store: OutboxStore, chain: FakeChain) -> None:
    writer.use(FakeSigner())
    await until(lambda: writer.chain.state == "ok")
    chain.script["block_hash"] = [Unavailable("refused"), RpcRefused(-1, "no such method"), Unavailable("x")] * 10
    chain.script["preflight"] = [Unavailable("refused")] * 10
    key = store.put(reward("A", 5, 0, 1))[0].key
    await until(lambda: writer.chain.state == "unreachable")
    assert writer.chain.reason
    await until(lambda: state_of(store, key) is State.DELIVERED)
    assert writer.chain == writing.ChainView("ok", "")


@pytest.mark.parametrize("error", [WrongChain("reset"), WrongContract("no code")])
async def test_a_wrong_chain_parks_and_the_right_one_resumes(
    writer: Writer, store: OutboxStore, chain: FakeChain, error: Exception
) -> None:
    await until(lambda: writer.chain.state == "ok")
    chain.script["preflight"] = [error] * 100  # type: ignore[list-item]
    key = store.put(reward("A", 5, 0, 1))[0].key
    writer.use(FakeSigner())
    await until(lambda: state_of(store, key) is State.PARKED or chain.sent)
    assert chain.sent == []
    assert (writer.chain.state, writer.chain.reason) == ("wrong", str(error))
    chain.script.clear()
    await until(lambda: state_of(store, key) is State.DELIVERED)


async def test_another_genesis_under_the_same_address_is_a_wrong_chain(
    writer: Writer, store: OutboxStore, chain: FakeChain
) -> None:
    await until(lambda: writer.chain.state == "ok")
    chain.state.blocks = ["another genesis"]
    await until(lambda: writer.chain.state == "wrong")
    assert "another genesis" in writer.chain.reason


async def test_a_new_deployment_is_followed_and_the_old_intents_stay_behind(
    writer: Writer, store: OutboxStore, chain: FakeChain, deployment: Path
) -> None:
    old = store.put(reward("A", 11, 0, 1))[0].key
    await until(lambda: writer.chain.state == "ok")
    chain.state.blocks = ["second"]
    chain.coordinator = "0x" + "d1" * 20
    target = deploy(deployment, chain.coordinator, "second")
    writer.use(FakeSigner())
    await until(lambda: store.target == target and writer.chain.state == "ok")
    assert state_of(store, old) is State.PARKED
    key = store.put(reward("A", 5, 0, 1))[0].key
    writer.wake()
    await until(lambda: state_of(store, key) is State.DELIVERED)
    assert len(chain.state.rewards) == 1


async def test_waiting_for_an_intent(writer: Writer, store: OutboxStore) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    early = await writer.wait_settled(key, 0.05)
    assert early is not None
    assert early.state is State.QUEUED
    writer.use(FakeSigner())
    done = await writer.wait_settled(key, 5.0)
    assert done is not None
    assert done.state is State.DELIVERED
    assert await writer.wait_settled("no such key", 5.0) is None


async def test_the_last_intents_are_flushed_and_a_dead_chain_does_not_hold_the_exit(
    store: OutboxStore, chain: FakeChain, deployment: Path
) -> None:
    settings = ChainSettings(chain_id=1, deployment_file=deployment)
    writer = Writer(settings, store, chain, Willing())  # type: ignore[arg-type]
    writer.use(FakeSigner())
    key = store.put(reward("A", 5, 0, 1))[0].key
    await writer.flush(5.0)
    assert state_of(store, key) is State.DELIVERED
    late = store.put(reward("A", 6, 0, 1))[0].key
    chain.script["block_hash"] = [Unavailable("gone")] * 100
    async with asyncio.timeout(2):
        await writer.flush(1.0)
    assert state_of(store, late) is State.QUEUED
    store.close()
