"""An outbox on a temporary disk, a chain in memory, clocks set by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.fake_chain import CONTRACT, MARKET, FakeChain, FakeClock, FakeSigner

from login_proxy.outbox.delivery import Delivery
from login_proxy.outbox.eoa import EoaSubmitter
from login_proxy.outbox.intents import Target
from login_proxy.outbox.store import OutboxStore

TARGET = Target(1, CONTRACT, "0xgenesis", MARKET)


class OpenGate:
    """Every peer named may be sent for; remembers doubts."""

    def __init__(self, *peers: str) -> None:
        self.bound = set(peers)
        self.registered = set(peers)
        self.doubts: list[str] = []

    def doubt(self, peer_id: str) -> None:
        self.doubts.append(peer_id)


@pytest.fixture
def clock() -> FakeClock:
    """One clock for everything."""
    return FakeClock()


@pytest.fixture
def chain() -> FakeChain:
    """A chain on which peer A belongs to us and peer B to nobody."""
    chain = FakeChain()
    chain.state.owners["A"] = "0xabcd000000000000000000000000000000000001"
    return chain


@pytest.fixture
def open_store(tmp_path: Path, clock: FakeClock) -> Iterator[Callable[[], OutboxStore]]:
    """Opens the same outbox again, as after a crash."""
    opened: list[OutboxStore] = []

    def make() -> OutboxStore:
        opened.append(OutboxStore(tmp_path / "outbox.sqlite", TARGET, clock))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], OutboxStore]) -> OutboxStore:
    """An empty outbox."""
    return open_store()


@pytest.fixture
def gate() -> OpenGate:
    """Lets peer A through."""
    return OpenGate("A")


@pytest.fixture
def signer() -> FakeSigner:
    """The wallet."""
    return FakeSigner()


@pytest.fixture
def delivery(store: OutboxStore, chain: FakeChain, signer: FakeSigner, gate: OpenGate, clock: FakeClock) -> Delivery:
    """Delivery with all of the above."""
    return Delivery(store, chain, EoaSubmitter(signer, chain), gate, clock)
