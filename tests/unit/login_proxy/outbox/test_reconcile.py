"""A chain that lost blocks: noticed by the remembered block, put right by asking the contract, newest first."""

from __future__ import annotations

import pytest
from tests.support.fake_chain import ACCOUNT, OTHER, FakeChain

from login_proxy.outbox.delivery import Delivery
from login_proxy.outbox.intents import State, register, reward, winner
from login_proxy.outbox.reconcile import ChainWatch, facts_about, is_present
from login_proxy.outbox.store import OutboxStore, Seen
from swarm_core.errors import Unavailable


async def drain(delivery: Delivery) -> None:
    for _ in range(6):
        await delivery.step()


async def test_nothing_remembered_means_nothing_lost(store: OutboxStore, chain: FakeChain) -> None:
    assert not await ChainWatch(store, chain).went_back()


@pytest.mark.parametrize(("seen", "lost"), [(Seen(0, "genesis"), False), (Seen(0, "x"), True), (Seen(9, "x"), True)])
async def test_a_missing_or_another_block_is_noticed(
    store: OutboxStore, chain: FakeChain, seen: Seen, lost: bool
) -> None:
    store.remember_seen(seen)
    assert await ChainWatch(store, chain).went_back() is lost


def test_the_newer_block_is_remembered(store: OutboxStore, chain: FakeChain) -> None:
    watch = ChainWatch(store, chain)
    assert watch.newest(3, "h3") == Seen(3, "h3")
    store.remember_seen(Seen(5, "h5"))
    assert watch.newest(4, "h4") == Seen(5, "h5")
    assert watch.newest(5, "other") == Seen(5, "other")
    assert watch.newest(6, "h6") == Seen(6, "h6")


async def test_what_was_lost_is_sent_again_with_the_same_bytes_and_nothing_else(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, signer: object
) -> None:
    for number in (1, 2):
        store.put(reward("A", number, 0, 1))
    await drain(delivery)
    before = chain.snapshot()
    for number in (3, 4):
        store.put(reward("A", number, 0, 1))
    store.put(winner("A", 4, ("A",)))
    await drain(delivery)
    sent_before = len(chain.sent)
    chain.go_back(before)
    assert await delivery.went_back()
    await delivery.look_back()
    assert sorted(intent.request.round for intent in store.sent()) == [3, 4, 4]
    assert not await delivery.went_back(), "the new branch is remembered"
    await drain(delivery)
    assert len(chain.sent) == sent_before + 3
    assert signer.signed == 5  # type: ignore[attr-defined]
    assert set(chain.state.rewards) == {(n, 0, "A") for n in (1, 2, 3, 4)}
    assert chain.state.votes == {(4, "A"): ["A"]}
    assert store.counts() == {"reward": {"delivered": 4}, "winner": {"delivered": 1}}


async def test_a_lost_registration_raises_a_doubt(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, gate: object
) -> None:
    gate.bound.add("B")  # type: ignore[attr-defined]
    before = chain.snapshot()
    store.put(register("B"))
    await drain(delivery)
    chain.go_back(before)
    await delivery.look_back()
    assert gate.doubts == ["B"]  # type: ignore[attr-defined]


async def test_a_loss_deeper_than_one_chunk_is_found(store: OutboxStore, chain: FakeChain, delivery: Delivery) -> None:
    before = chain.snapshot()
    for stage in range(80):
        store.put(reward("A", 5, stage, 1))
    for _ in range(10):
        await delivery.step()
    assert store.counts() == {"reward": {"delivered": 80}}
    chain.go_back(before)
    await delivery.look_back()
    assert len(store.sent()) == 80


async def test_an_outage_while_looking_back_leaves_everything_for_the_next_time(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    before = chain.snapshot()
    row, _ = store.put(reward("A", 5, 0, 1))
    await drain(delivery)
    chain.go_back(before)
    chain.script["has_reward"] = [Unavailable("gone")] * 50
    with pytest.raises(Unavailable):
        await delivery.look_back()
    known = store.get(row.key)
    assert known is not None
    assert known.state is State.DELIVERED
    assert await delivery.went_back()
    chain.script.clear()
    await delivery.look_back()
    assert len(store.sent()) == 1


async def test_an_effect_counts_only_under_our_account(chain: FakeChain) -> None:
    chain.state.rewards[5, 0, "A"] = 1
    chain.state.votes[5, "A"] = ["A"]
    for request in (reward("A", 5, 0, 1), winner("A", 5, ("A",)), register("A")):
        assert await is_present(chain, request, ACCOUNT)
        assert not await is_present(chain, request, OTHER)
    for request in (reward("A", 6, 0, 1), reward("A", 5, 1, 1), winner("A", 6, ("A",)), register("B")):
        assert not await is_present(chain, request, ACCOUNT)


async def test_facts(chain: FakeChain) -> None:
    chain.stage = 3
    facts = await facts_about(chain, reward("A", 5, 0, 1), ACCOUNT)
    assert (facts.account, facts.round, facts.stage, facts.owner) == (ACCOUNT, 10, 3, ACCOUNT.lower())
    assert facts.present is False
