"""The registrar: registers what consents, adopts what is ours, holds what is another's, and looks again in doubt."""

from __future__ import annotations

import pytest
from tests.support.fake_chain import ACCOUNT, CONTRACT, OTHER, FakeChain, FakeClock

from login_proxy.outbox.intents import ParkReason, State, register, reward
from login_proxy.outbox.registrar import OPEN_SECONDS, SETTLED_SECONDS, Registrar
from login_proxy.outbox.store import OutboxStore
from swarm_core.errors import Unavailable


class Consent:
    """Daemons that sign for the peers in `willing`."""

    def __init__(self, *willing: str) -> None:
        self.willing = set(willing)
        self.asked: list[tuple[str, str, int, str]] = []

    async def views(self, max_age: float) -> object:
        return []

    async def bind(self, peer_id: str, account: str, chain_id: int, contract: str) -> bool:
        self.asked.append((peer_id, account, chain_id, contract))
        return peer_id in self.willing


@pytest.fixture
def consent() -> Consent:
    return Consent("A", "B")


@pytest.fixture
def registrar(store: OutboxStore, chain: FakeChain, consent: Consent, clock: FakeClock) -> Registrar:
    return Registrar(store, chain, consent, ACCOUNT, clock)


def state(store: OutboxStore, peer: str) -> State | None:
    intent = store.get(register(peer).key(store.target))
    return intent.state if intent is not None else None


async def test_without_peers_the_chain_is_not_asked(chain: FakeChain, registrar: Registrar) -> None:
    chain.script["owners"] = [Unavailable("gone")]
    await registrar.step()


async def test_a_new_peer_is_bound_and_wished_for(store: OutboxStore, registrar: Registrar, consent: Consent) -> None:
    store.add_peer("B", "peer-1")
    await registrar.step()
    assert consent.asked == [("B", ACCOUNT, 1, CONTRACT)]
    assert state(store, "B") is State.QUEUED
    assert (registrar.bound, registrar.registered) == ({"B"}, set())


async def test_a_peer_that_does_not_consent_is_not_registered_and_asked_again(
    store: OutboxStore, registrar: Registrar, consent: Consent
) -> None:
    consent.willing.clear()
    store.add_peer("B", "peer-1")
    await registrar.step()
    assert state(store, "B") is None
    await registrar.step()
    assert len(consent.asked) == 2
    consent.willing.add("B")
    await registrar.step()
    assert state(store, "B") is State.QUEUED


async def test_our_own_peer_is_adopted_silently(store: OutboxStore, registrar: Registrar, consent: Consent) -> None:
    store.add_peer("A", "main")
    await registrar.step()
    assert (registrar.registered, registrar.bound, consent.asked) == ({"A"}, {"A"}, [])
    assert state(store, "A") is None


async def test_a_peer_of_another_account_is_held_until_it_is_not(
    store: OutboxStore, chain: FakeChain, registrar: Registrar, clock: FakeClock
) -> None:
    chain.state.owners["B"] = OTHER
    store.add_peer("B", "main")
    row, _ = store.put(reward("B", 1, 0, 1))
    await registrar.step()
    assert registrar.foreign == {"B": OTHER}
    assert registrar.registered == set()
    parked = store.get(row.key)
    assert parked is not None
    assert (parked.state, parked.reason) == (State.PARKED, ParkReason.OWNED_BY_OTHER)
    del chain.state.owners["B"]  # the chain went back to before the other account
    clock.now += OPEN_SECONDS
    await registrar.step()
    assert registrar.foreign == {}
    assert state(store, "B") is State.QUEUED
    freed = store.get(row.key)
    assert freed is not None
    assert freed.state is State.QUEUED


async def test_owners_are_read_rarely_when_all_is_well_and_at_once_in_doubt(
    store: OutboxStore, chain: FakeChain, registrar: Registrar, clock: FakeClock
) -> None:
    store.add_peer("A", "main")
    await registrar.step()
    del chain.state.owners["A"]
    clock.now += SETTLED_SECONDS - 0.1
    await registrar.step()
    assert registrar.registered == {"A"}
    clock.now += 0.2
    await registrar.step()
    assert registrar.registered == set()
    chain.state.owners["A"] = ACCOUNT.lower()
    clock.now += OPEN_SECONDS - 0.1
    await registrar.step()
    assert registrar.registered == set()
    registrar.doubt("A")
    await registrar.step()
    assert registrar.registered == {"A"}


@pytest.mark.parametrize("finish", ["delivered", "rejected"])
async def test_a_registration_that_the_chain_does_not_show_is_wished_for_again(
    store: OutboxStore, registrar: Registrar, finish: str
) -> None:
    store.add_peer("B", "main")
    row, _ = store.put(register("B"))
    if finish == "delivered":
        store.deliver([(row.id, "0x", 1)], None)
    else:
        store.reject(row.id, "PeerIdAlreadyRegistered")
    await registrar.step()
    assert state(store, "B") is State.QUEUED


async def test_another_contract_is_met_without_memories(store: OutboxStore, registrar: Registrar) -> None:
    store.add_peer("A", "main")
    await registrar.step()
    registrar.foreign["X"] = OTHER
    registrar.forget()
    assert (registrar.bound, registrar.registered, registrar.foreign) == (set(), set(), {})


async def test_a_peer_that_was_replaced_is_not_registered_but_what_it_earned_is_delivered(
    store: OutboxStore, registrar: Registrar, consent: Consent, chain: FakeChain, clock: FakeClock
) -> None:
    for peer in ("B", "A"):  # B was never registered, then a restore gave the node the key of A
        store.add_peer(peer, "main")
    await registrar.step()
    assert consent.asked == []
    assert (state(store, "B"), registrar.registered) == (None, {"A"})
    chain.script["owners"] = [Unavailable("must not be asked")]
    await registrar.step()
    clock.now += SETTLED_SECONDS - 1
    await registrar.step()
    chain.script.clear()
    store.add_peer("C", "main")  # replaced again: A is a former peer, and still ours
    await registrar.step()
    assert "A" in registrar.registered
