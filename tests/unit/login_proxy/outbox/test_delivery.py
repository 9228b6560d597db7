"""Delivery: each intent has its effect exactly once, whatever is lost, late, taken or reverted on the way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.fake_chain import ACCOUNT, OTHER, FakeChain, FakeClock, FakeSigner

from login_proxy.outbox.delivery import WINDOW, Delivery
from login_proxy.outbox.eoa import EoaSubmitter
from login_proxy.outbox.fate import NONCE_GRACE_SECONDS
from login_proxy.outbox.flight import MAX_REVERTS, RESEND_SECONDS, STUCK_SECONDS
from login_proxy.outbox.intents import Attempt, Intent, State, register, reward, winner
from login_proxy.outbox.store import OutboxStore, Seen
from swarm_chain.errors import ContractError, RpcRefused
from swarm_core.errors import Unavailable

GONE = Unavailable("gone")


def row(store: OutboxStore, key: str) -> Intent:
    intent = store.get(key)
    assert intent is not None
    return intent


async def drain(delivery: Delivery, passes: int = 8) -> None:
    for _ in range(passes):
        await delivery.step()


async def test_many_fly_together_in_order_and_are_delivered(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    for number in range(5, 10):
        store.put(reward("A", number, 0, number))
    store.put(winner("A", 9, ("A",)))
    assert (await delivery.step()).moved
    assert [intent.nonce(ACCOUNT) for intent in store.sent()] == [0, 1, 2, 3, 4, 5]
    assert (await delivery.step()).moved
    assert store.counts() == {"reward": {"delivered": 5}, "winner": {"delivered": 1}}
    assert chain.state.rewards == {(n, 0, "A"): n for n in range(5, 10)}
    assert chain.state.votes == {(9, "A"): ["A"]}
    assert len(chain.sent) == 6
    assert store.seen() == Seen(6, "block 6 of branch 0")
    assert not (await delivery.step()).moved


async def test_bytes_are_on_disk_before_they_are_sent(
    open_store: Callable[[], OutboxStore], chain: FakeChain, delivery: Delivery, store: OutboxStore
) -> None:
    store.put(reward("A", 5, 0, 1))
    seen_on_disk: list[tuple[Attempt, ...]] = []
    send = chain.send_raw

    async def look_then_send(signed: bytes) -> str:
        seen_on_disk.extend(intent.attempts for intent in open_store().sent())
        return await send(signed)

    chain.send_raw = look_then_send  # type: ignore[method-assign]
    await delivery.step()
    assert [attempts[0].raw for attempts in seen_on_disk] == chain.sent


async def test_after_a_crash_the_same_bytes_go_out_again(
    open_store: Callable[[], OutboxStore], chain: FakeChain, delivery: Delivery, store: OutboxStore, gate: object,
    clock: FakeClock,
) -> None:  # fmt: skip
    for number in (5, 6):
        store.put(reward("A", number, 0, 1))
    chain.script["send_raw"] = [GONE, GONE]
    assert len((await delivery.step()).lost) == 2
    assert chain.sent == []
    reborn, signer = open_store(), FakeSigner()
    again = Delivery(reborn, chain, EoaSubmitter(signer, chain), gate, clock)  # type: ignore[arg-type]
    await drain(again, 2)
    assert reborn.counts() == {"reward": {"delivered": 2}}
    assert signer.signed == 0
    assert chain.state.nonces[ACCOUNT.lower()] == 2


async def test_a_lost_reply_is_settled_by_the_receipt(store: OutboxStore, chain: FakeChain, delivery: Delivery) -> None:
    store.put(reward("A", 5, 0, 1))
    chain.lose_replies = 1
    done = await delivery.step()
    assert (done.moved, len(done.lost)) == (True, 1)
    await delivery.step()
    assert store.counts() == {"reward": {"delivered": 1}}
    assert len(chain.sent) == 1


async def test_a_lost_transaction_is_sent_again_after_a_while_and_not_before(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    store.put(reward("A", 5, 0, 1))
    chain.drop_sends = True
    await delivery.step()
    chain.drop_sends = False
    clock.now += RESEND_SECONDS - 0.1
    await delivery.step()
    assert len(chain.sent) == 1
    clock.now += 0.2
    await drain(delivery, 2)
    assert len(chain.sent) == 2
    assert chain.sent[0] == chain.sent[1]
    assert store.counts() == {"reward": {"delivered": 1}}


async def test_a_known_transaction_is_no_trouble(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock, signer: FakeSigner
) -> None:
    chain.mining = False
    store.put(reward("A", 5, 0, 1))
    await delivery.step()
    clock.now += RESEND_SECONDS
    await delivery.step()
    assert len(chain.sent) == 2, "the node said: already known"
    chain.mine()
    await delivery.step()
    assert store.counts() == {"reward": {"delivered": 1}}
    assert signer.signed == 1


@pytest.fixture
def reasons(store: OutboxStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why intents went back to the line, in order."""
    told: list[str] = []
    postpone = store.postpone

    def noted(intent: int, reason: str, until: float) -> None:
        told.append(reason)
        postpone(intent, reason, until)

    monkeypatch.setattr(store, "postpone", noted)
    return told


async def test_a_nonce_that_another_program_took_is_replaced_after_a_grace(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock, reasons: list[str]
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.drop_sends = True
    await delivery.step()
    chain.drop_sends = False
    chain.take_nonce()
    clock.now += RESEND_SECONDS
    await delivery.step()
    assert row(store, key).nonce(ACCOUNT) == 0, "the receipt may be late"
    clock.now += NONCE_GRACE_SECONDS
    await drain(delivery, 3)
    assert reasons == ["nonce taken by another transaction"]
    assert row(store, key).state is State.DELIVERED
    assert [attempt.nonce for attempt in row(store, key).attempts] == [0, 1]
    assert chain.state.nonces[ACCOUNT.lower()] == 2


async def test_a_late_receipt_within_the_grace_is_enough(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock, signer: FakeSigner
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    await delivery.step()
    hidden = dict(chain.state.receipts)
    chain.state.receipts.clear()
    chain.script["send_raw"] = [RpcRefused(-1, "nonce too low")]
    clock.now += RESEND_SECONDS
    await delivery.step()
    chain.state.receipts.update(hidden)
    clock.now += NONCE_GRACE_SECONDS
    await delivery.step()
    assert (row(store, key).state, signer.signed) == (State.DELIVERED, 1)


async def test_a_receipt_of_an_older_attempt_counts(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock, signer: FakeSigner
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    await delivery.step()
    first = row(store, key).attempts[0]
    hidden = dict(chain.state.receipts)
    rewards = dict(chain.state.rewards)
    chain.state.receipts.clear()
    chain.state.rewards.clear()  # a node that lags behind in everything but the nonce
    chain.script["send_raw"] = [RpcRefused(-1, "nonce too low")]
    clock.now += RESEND_SECONDS
    await delivery.step()
    clock.now += NONCE_GRACE_SECONDS
    chain.mining = False
    await delivery.step()
    assert signer.signed == 2
    chain.state.receipts.update(hidden)
    chain.state.rewards.update(rewards)
    await delivery.step()
    assert (row(store, key).state, row(store, key).tx_hash) == (State.DELIVERED, first.hash)


async def test_a_reverted_transaction_is_looked_at_again_and_never_counted(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.mining = False
    await delivery.step()
    chain.round = 50  # the window closed between the estimate and the block
    chain.mine()
    await delivery.step()
    assert row(store, key).attempts[0].reverted
    assert (row(store, key).state, row(store, key).reason) == (State.REJECTED, "InvalidRoundNumber")
    assert chain.state.rewards == {}


async def test_a_transaction_that_reverts_again_and_again_is_given_up(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.mining = False
    for _ in range(MAX_REVERTS):
        assert row(store, key).state is not State.REJECTED
        await delivery.step()
        chain.round = 50
        chain.mine()
        chain.round = 10
    await delivery.step()
    assert (row(store, key).state, row(store, key).reason) == (State.REJECTED, "reverted")
    assert len(row(store, key).attempts) == MAX_REVERTS
    assert delivery.last_error == "reward of round 5 reverted every time"


async def test_an_old_round_is_rejected_with_its_reason(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    chain.round = 50
    old = store.put(reward("A", 5, 0, 1))[0].key
    good = store.put(reward("A", 45, 0, 2))[0].key
    await delivery.step()
    assert row(store, old).state is State.QUEUED
    clock.now += 60
    await drain(delivery, 2)
    assert (row(store, old).state, row(store, old).reason) == (State.REJECTED, "InvalidRoundNumber")
    assert row(store, good).state is State.DELIVERED
    assert delivery.last_error == "reward of round 5 rejected: InvalidRoundNumber"
    assert chain.state.nonces[ACCOUNT.lower()] == 1, "a refused intent costs no nonce"


async def test_a_future_round_waits_until_it_comes(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    key = store.put(reward("A", 11, 0, 1))[0].key
    for _ in range(30):
        clock.now += 60
        await delivery.step()
    assert row(store, key).state is State.QUEUED
    chain.round = 11
    clock.now += 60
    await drain(delivery, 2)
    assert row(store, key).state is State.DELIVERED


async def test_what_is_on_chain_already_is_delivered_and_remembers_the_tip(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    chain.state.rewards[5, 0, "A"] = 1
    chain.take_nonce()
    key = store.put(reward("A", 5, 0, 1))[0].key
    await delivery.step()
    assert (row(store, key).state, row(store, key).tx_hash, row(store, key).block) == (State.DELIVERED, None, 1)
    assert store.seen() == Seen(1, "block 1 of branch 0")
    assert chain.sent == []


async def test_a_peer_that_another_account_took_is_parked_as_a_whole(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, gate: object
) -> None:
    chain.state.owners["A"] = OTHER
    keys = [store.put(reward("A", number, 0, 1))[0].key for number in (5, 6, 7)]
    await delivery.step()
    assert {(row(store, key).state, row(store, key).reason) for key in keys} == {(State.PARKED, "owned_by_other")}
    assert gate.doubts == ["A"]  # type: ignore[attr-defined]
    assert chain.sent == []


async def test_a_registration_opens_the_gate(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, gate: object
) -> None:
    gate.bound.add("B")  # type: ignore[attr-defined]
    store.put(register("B"))
    store.put(reward("B", 5, 0, 1))
    await delivery.step()
    assert len(chain.sent) == 1
    await drain(delivery, 2)
    assert chain.state.owners["B"] == ACCOUNT.lower()
    assert chain.state.rewards == {(5, 0, "B"): 1}


async def test_a_peer_without_registration_raises_a_doubt_and_waits(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, gate: object, clock: FakeClock
) -> None:
    del chain.state.owners["A"]
    key = store.put(reward("A", 5, 0, 1))[0].key
    await delivery.step()
    assert gate.doubts == ["A"]  # type: ignore[attr-defined]
    assert row(store, key).state is State.QUEUED
    chain.state.owners["A"] = ACCOUNT.lower()
    clock.now += 60
    await drain(delivery, 2)
    assert row(store, key).state is State.DELIVERED


async def test_no_more_than_a_window_is_in_flight(store: OutboxStore, chain: FakeChain, delivery: Delivery) -> None:
    chain.mining = False
    for number in range(5):
        for stage in range(20):
            store.put(reward("A", number + 5, stage, 1))
    await drain(delivery, 3)
    assert len(store.sent()) == WINDOW
    chain.mining = True
    chain.mine()
    await drain(delivery, 3)
    assert store.counts() == {"reward": {"delivered": 100}}


async def test_a_gap_is_filled_by_what_comes_next(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    first, second = store.put(reward("A", 5, 0, 1))[0], store.put(reward("A", 6, 0, 1))[0]
    chain.drop_sends = True
    await delivery.step()
    store.reject(first.id, "given up")  # nonce 0 will never be sent
    chain.drop_sends = False
    third = store.put(reward("A", 7, 0, 1))[0]
    clock.now += RESEND_SECONDS
    await drain(delivery, 3)
    assert row(store, third.key).attempts[-1].nonce == 0
    assert row(store, second.key).state is row(store, third.key).state is State.DELIVERED


async def test_a_gap_that_nothing_fills_is_filled_from_the_end(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock, reasons: list[str]
) -> None:
    rows = [store.put(reward("A", number, 0, 1))[0] for number in (5, 6, 7)]
    chain.drop_sends = True
    await delivery.step()
    store.reject(rows[0].id, "given up")
    chain.drop_sends = False
    await delivery.step()
    assert row(store, rows[2].key).nonce(ACCOUNT) == 2, "not at once: the node may lag"
    clock.now += STUCK_SECONDS
    await drain(delivery, 2)
    assert [attempt.nonce for attempt in row(store, rows[2].key).attempts] == [2, 0]
    assert reasons == ["moved into a gap"]
    clock.now += RESEND_SECONDS
    await drain(delivery, 3)
    assert row(store, rows[1].key).state is row(store, rows[2].key).state is State.DELIVERED


async def test_bytes_of_another_account_are_signed_anew(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    intent = store.put(reward("A", 5, 0, 1))[0]
    store.sign([(intent.id, Attempt("0xold", 77, b"old", OTHER))])
    await drain(delivery, 3)
    assert row(store, intent.key).state is State.DELIVERED
    assert row(store, intent.key).attempts[-1].nonce == 0


async def test_lost_answers_do_not_stop_the_others(store: OutboxStore, chain: FakeChain, delivery: Delivery) -> None:
    for number in range(1, 10):
        store.put(reward("A", number, 0, 1))
    chain.script["estimate_gas"] = [GONE, None, GONE, None, None]
    done = await delivery.step()
    assert (done.moved, len(done.lost)) == (True, 2)
    assert len(chain.sent) == 7
    chain.script["receipt"] = [GONE, GONE]
    done = await delivery.step()
    assert (done.moved, len(done.lost)) == (True, 2)
    await drain(delivery, 3)
    assert store.counts() == {"reward": {"delivered": 9}}


async def test_when_sends_are_lost_in_a_row_the_rest_waits(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    for number in range(1, 10):
        store.put(reward("A", number, 0, 1))
    chain.script["send_raw"] = [GONE] * 8
    done = await delivery.step()
    assert len(done.lost) == 8
    assert chain.sent == []
    await drain(delivery, 2)
    assert store.counts() == {"reward": {"delivered": 9}}


async def test_an_outage_changes_nothing_on_disk(store: OutboxStore, chain: FakeChain, delivery: Delivery) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.script["nonce"] = [GONE] * 4
    with pytest.raises(Unavailable):
        await delivery.step()
    assert row(store, key).attempts == ()
    chain.script["estimate_gas"] = [ContractError("InvalidRoundNumber")]
    chain.script["round_and_stage"] = [GONE] * 4
    done = await delivery.step()
    assert (done.moved, len(done.lost)) == (False, 1)
    assert (row(store, key).state, row(store, key).tries) == (State.QUEUED, 0)


async def test_a_node_that_refuses_the_question_is_asked_later(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.script["estimate_gas"] = [RpcRefused(-1, "insufficient funds for gas")]
    await delivery.step()
    assert (row(store, key).state, row(store, key).reason) == (State.QUEUED, "insufficient_funds")
    assert "insufficient funds" in delivery.last_error
    clock.now += 60
    await drain(delivery, 2)
    assert row(store, key).state is State.DELIVERED


async def test_a_refused_send_is_shown_and_tried_again(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock, signer: FakeSigner
) -> None:
    store.put(reward("A", 5, 0, 1))
    chain.script["send_raw"] = [RpcRefused(-1, "transaction underpriced")]
    await delivery.step()
    assert "underpriced" in delivery.last_error
    clock.now += RESEND_SECONDS
    await drain(delivery, 2)
    assert store.counts() == {"reward": {"delivered": 1}}
    assert signer.signed == 1


async def test_gas_leaves_room_and_more_after_each_refusal(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    intent = store.put(reward("A", 5, 0, 1))[0]
    chain.mining = False
    await delivery.step()
    assert b'"gas": 1500' in chain.sent[0]
    store.postpone(intent.id, "again", 0.0)
    chain.pool.clear()
    await delivery.step()
    assert b'"gas": 2000' in chain.sent[1]
