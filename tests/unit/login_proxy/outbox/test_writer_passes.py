"""One pass of the writer at a time, with time set by hand: how long it waits, what it repeats, what it counts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.fake_chain import CONTRACT, FakeChain, FakeSigner

from login_proxy.outbox import writer as writing
from login_proxy.outbox.intents import Attempt, State, Target, reward
from login_proxy.outbox.store import OutboxStore
from login_proxy.outbox.writer import Writer
from swarm_chain.deployment import Deployment, write_deployment
from swarm_chain.errors import ContractError, RpcRefused, WrongChain
from swarm_chain.settings import ChainSettings
from swarm_core.errors import SwarmError, Unavailable
from swarm_core.runner import Service


class Peers:
    """Daemons that sign; counts how often they are looked at."""

    def __init__(self) -> None:
        self.ages: list[float] = []

    async def views(self, max_age: float) -> object:
        self.ages.append(max_age)
        return []

    async def bind(self, peer_id: str, account: str, chain_id: int, contract: str) -> bool:
        return True


class Time:
    """In the place of `time`."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


class Dice:
    """In the place of `random`: keeps the ranges, gives their upper end."""

    def __init__(self) -> None:
        self.ranges: list[tuple[float, float]] = []

    def uniform(self, low: float, high: float) -> float:
        self.ranges.append((low, high))
        return high


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    time = Time()
    monkeypatch.setattr(writing, "time", time)
    return time


@pytest.fixture
def dice(monkeypatch: pytest.MonkeyPatch) -> Dice:
    dice = Dice()
    monkeypatch.setattr(writing, "random", dice)
    return dice


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OutboxStore]:
    write_deployment(tmp_path / "deployment.json", Deployment(1, "genesis", CONTRACT, 1))
    store = OutboxStore(tmp_path / "outbox.sqlite", Target(1, CONTRACT, "genesis"))
    store.add_peer("A", "main")
    yield store
    store.close()


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
def writer(store: OutboxStore, chain: FakeChain, tmp_path: Path, time: Time, dice: Dice, peers: Peers) -> Writer:
    settings = ChainSettings(chain_id=1, deployment_file=tmp_path / "deployment.json")
    return Writer(settings, store, chain, peers)  # type: ignore[arg-type]


def failing(chain: FakeChain, method: str, error: SwarmError) -> None:
    chain.script[method] = [error] * 1000


async def test_a_new_writer_knows_nothing(writer: Writer) -> None:
    assert (writer.chain, writer.registrar, writer.last_error) == (writing.ChainView("unknown", ""), None, "")
    writer.use(FakeSigner())
    assert writer.registrar is not None
    assert writer.last_error == ""


async def test_the_first_pass_asks_whether_it_is_the_right_chain(writer: Writer, chain: FakeChain, time: Time) -> None:
    time.now = 0.5  # right after the machine started
    writer.use(FakeSigner())
    await writer._guarded_pass()
    assert chain.preflights == 1


async def test_without_an_account_it_watches(writer: Writer, chain: FakeChain, peers: Peers) -> None:
    for number in (1, 2, 3):
        assert await writer._guarded_pass() == 3.0
        assert (chain.preflights, len(peers.ages)) == (number, number)  # each pass asks the chain
    assert peers.ages[0] == 3.0


async def test_the_chain_is_asked_again_every_minute(writer: Writer, chain: FakeChain, time: Time) -> None:
    writer.use(FakeSigner())
    for seconds, preflights in ((0.0, 1), (30.0, 1), (30.0, 1), (0.1, 2), (60.0, 2), (0.1, 3)):
        time.now += seconds
        await writer._guarded_pass()
        assert chain.preflights == preflights


async def test_pauses_of_work(writer: Writer, store: OutboxStore, chain: FakeChain) -> None:
    writer.use(FakeSigner())
    assert await writer._guarded_pass() == 3.0  # nothing to do
    chain.mining = False
    store.put(reward("A", 5, 0, 1))
    assert await writer._guarded_pass() == 0.0  # sent
    assert await writer._guarded_pass() == 0.25  # in flight
    chain.mine()
    assert await writer._guarded_pass() == 0.0  # delivered
    assert await writer._guarded_pass() == 3.0


async def test_held_intents_are_looked_at_every_second(writer: Writer, store: OutboxStore, chain: FakeChain) -> None:
    writer.use(FakeSigner())
    chain.round = 10
    store.put(reward("A", 11, 0, 1))  # its round is to come
    await writer._guarded_pass()
    assert await writer._guarded_pass() == 1.0


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Unavailable("connection refused"), "connection refused"),
        (RpcRefused(-32601, "no such method"), "no such method (code -32601)"),
        (ContractError("Panic"), "the RPC refuses requests: Panic"),
    ],
)
async def test_an_outage_is_asked_about_less_and_less(
    writer: Writer, chain: FakeChain, dice: Dice, error: SwarmError, reason: str
) -> None:
    writer.use(FakeSigner())
    failing(chain, "preflight", error)
    pauses = [await writer._guarded_pass() for _ in range(12)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, *[5.0] * 8]
    assert dice.ranges == [(0.125, pause) for pause in pauses]
    assert writer.chain == writing.ChainView("unreachable", reason)
    # a loss is asked again at once
    tries = 4 if type(error) is Unavailable else 1
    assert chain.preflights == 12 * tries  # nothing is believed of a chain that was away

    chain.script.clear()
    assert await writer._guarded_pass() == 3.0
    assert writer.chain == writing.ChainView("ok", "")
    failing(chain, "block", error)
    failing(chain, "block_hash", error)
    failing(chain, "nonce", error)
    failing(chain, "owners", error)
    failing(chain, "preflight", error)
    writer._checked = False
    assert await writer._guarded_pass() == 0.5  # the count began anew


@pytest.mark.parametrize("error", [Unavailable("gone"), RpcRefused(-1, "no"), ContractError("x"), WrongChain("other")])
async def test_after_any_failure_the_chain_is_checked_first(
    writer: Writer, store: OutboxStore, chain: FakeChain, error: SwarmError
) -> None:
    writer.use(FakeSigner())
    await writer._guarded_pass()
    store.put(reward("A", 5, 0, 1))
    chain.script["nonce"] = [error] * 4
    await writer._guarded_pass()
    assert writer.chain.state in ("unreachable", "wrong")
    before = chain.preflights
    await writer._guarded_pass()
    assert chain.preflights == before + 1


async def test_a_wrong_chain_is_asked_about_every_few_seconds(
    writer: Writer, store: OutboxStore, chain: FakeChain
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    writer.use(FakeSigner())
    failing(chain, "preflight", WrongChain("another id"))
    assert await writer._guarded_pass() == 5.0
    assert writer.chain == writing.ChainView("wrong", "another id")
    parked = store.get(key)
    assert parked is not None
    assert parked.state is State.PARKED


async def test_a_pass_wakes_who_waits_for_an_intent(
    writer: Writer, store: OutboxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    key = store.put(reward("A", 5, 0, 1))[0].key
    waiting = asyncio.create_task(writer.wait_settled(key, 20.0))
    await asyncio.sleep(0)
    writer.use(FakeSigner())
    for _ in range(4):
        await writer._guarded_pass()
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        done = await waiting
    assert done is not None
    assert done.state is State.DELIVERED


async def test_a_wait_of_no_time_answers_at_once(writer: Writer, store: OutboxStore) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    async with asyncio.timeout(5):
        intent = await writer.wait_settled(key, 0.0)
    assert intent is not None
    assert intent.state is State.QUEUED


async def test_a_settled_intent_is_not_waited_for(writer: Writer, store: OutboxStore) -> None:
    intent, _ = store.put(reward("A", 5, 0, 1))
    store.reject(intent.id, "no")
    async with asyncio.timeout(5):
        settled = await writer.wait_settled(intent.key, 60.0)
    assert settled is not None
    assert settled.state is State.REJECTED


async def test_old_bytes_are_pruned_every_hour(writer: Writer, store: OutboxStore, time: Time) -> None:
    pruned: list[float] = []
    store.prune = lambda seconds: pruned.append(seconds) or 0  # type: ignore[method-assign,func-returns-value]
    writer.use(FakeSigner())
    for seconds in (3600.0, 0.1, 3600.0, 0.1):
        time.now += seconds
        await writer._guarded_pass()
    assert pruned == [86_400.0, 86_400.0]


async def test_flush_ends_when_nothing_can_be_done(writer: Writer, store: OutboxStore, chain: FakeChain) -> None:
    async with asyncio.timeout(5):
        await writer.flush(60.0)  # no account yet
    assert chain.preflights == 0
    store.put(reward("A", 11, 0, 1))  # its round is to come
    writer.use(FakeSigner())
    async with asyncio.timeout(5):
        await writer.flush(60.0)
    failing(chain, "preflight", Unavailable("gone"))
    writer._checked = False
    before = chain.preflights
    async with asyncio.timeout(5):
        await writer.flush(60.0)
    assert chain.preflights == before + 4, "one pass, in which a loss is asked again at once"


async def test_flush_is_bounded(writer: Writer, store: OutboxStore, chain: FakeChain) -> None:
    writer.use(FakeSigner())
    chain.mining = False  # accepted, never mined
    store.put(reward("A", 5, 0, 1))
    async with asyncio.timeout(10):
        await writer.flush(0.3)
    assert len(store.sent()) == 1


async def test_flush_waits_for_receipts_of_a_moment(writer: Writer, store: OutboxStore, chain: FakeChain) -> None:
    writer.use(FakeSigner())
    keys = [store.put(reward("A", number, 0, 1))[0].key for number in (4, 5, 6)]
    async with asyncio.timeout(0.9):  # without a pause where there is more to do
        await writer.flush(10.0)
    assert all((row := store.get(key)) is not None and row.state is State.DELIVERED for key in keys)


async def test_a_call_to_wake_ends_the_wait(writer: Writer) -> None:
    service = Service("test")
    asyncio.get_running_loop().call_later(0.01, writer.wake)
    async with asyncio.timeout(5):
        await writer._wait(service, 60.0)
    service.stop.set()
    async with asyncio.timeout(5):
        await writer._wait(service, 60.0)


async def test_run_does_not_pause_while_there_is_work(writer: Writer, store: OutboxStore, chain: FakeChain) -> None:
    service = Service("test")
    pauses: list[float] = []

    async def wait(_service: Service, seconds: float) -> None:
        pauses.append(seconds)
        service.stop.set()

    writer._wait = wait  # type: ignore[method-assign]
    writer.use(FakeSigner())
    store.put(reward("A", 5, 0, 1))
    async with asyncio.timeout(0.9):
        await writer.run(service)
    assert pauses == [3.0]  # only when all was delivered
    assert store.counts() == {"reward": {"delivered": 1}}


def test_an_attempt_is_kept_as_signed() -> None:
    assert Attempt("0x1", 3, b"raw", "me").reverted is False
