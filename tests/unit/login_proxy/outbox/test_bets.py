"""Bets and claims: a bet is placed once even where the market would take two; it goes first, and never moves."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.support.fake_chain import ACCOUNT, CONTRACT, MARKET, OTHER, FakeChain, FakeClock, FakeSigner

from login_proxy.outbox import decide
from login_proxy.outbox.delivery import Delivery
from login_proxy.outbox.fate import NONCE_GRACE_SECONDS
from login_proxy.outbox.flight import RESEND_SECONDS, STUCK_SECONDS
from login_proxy.outbox.intents import Attempt, Intent, State, Target, claim, guess, reward
from login_proxy.outbox.store import Conflict, OutboxStore
from swarm_chain import calls
from swarm_chain.errors import RpcRefused
from swarm_core.errors import Unavailable

BET = guess("A", 3, 1, 2, 10**30)


def row(store: OutboxStore, key: str) -> Intent:
    intent = store.get(key)
    assert intent is not None
    return intent


async def drain(delivery: Delivery, passes: int = 4) -> None:
    for _ in range(passes):
        await delivery.step()


def test_a_bet_is_named_by_game_clue_and_peer_and_kept_whole(store: OutboxStore) -> None:
    first, new = store.put(BET)
    assert (first.request, new, first.key) == (BET, True, f"{store.target.tag}|guess|3|1|A")
    assert store.put(BET) == (first, False)
    for other in (guess("A", 3, 1, 2, 5), guess("A", 3, 1, 0, 10**30)):
        with pytest.raises(Conflict):
            store.put(other)
    assert BET.call_data() == calls.guess_answer(3, "A", 1, 2, 10**30)
    assert claim("A", 3).call_data() == calls.claim_reward(3, "A")
    assert store.put(claim("A", 3))[0].request == claim("A", 3)


async def test_bets_and_claims_go_to_the_market_and_bets_go_first(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    store.put(reward("A", 5, 0, 1))
    store.put(claim("A", 2))
    store.put(BET)
    await drain(delivery, 2)
    sent = [json.loads(raw) for raw in chain.sent]
    assert [body["to"] for body in sent] == [MARKET, CONTRACT, MARKET]
    assert chain.state.bets == [(3, 1, "A", 2, 10**30)]
    assert chain.state.claims == {(2, "A")}
    assert store.counts() == {kind: {"delivered": 1} for kind in ("reward", "claim", "guess")}


async def test_without_a_market_they_wait(store: OutboxStore, chain: FakeChain, delivery: Delivery) -> None:
    store.retarget(Target(1, CONTRACT, "0xgenesis"))
    keys = [store.put(request)[0].key for request in (BET, claim("A", 2), reward("A", 5, 0, 1))]
    await drain(delivery)
    assert [row(store, key).state for key in keys] == [State.QUEUED, State.QUEUED, State.DELIVERED]
    store.retarget(Target(1, CONTRACT, "0xgenesis", MARKET))
    await drain(delivery)
    assert [row(store, key).state for key in keys] == [State.DELIVERED] * 3


async def test_a_bet_is_signed_anew_only_when_the_finalised_nonce_has_passed(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    key = store.put(BET)[0].key
    chain.drop_sends = True
    await delivery.step()
    chain.drop_sends = False
    chain.take_nonce()
    chain.finalised = 0  # mined by another program, but not final: it may still be undone, and ours be mined
    for _ in range(5):
        clock.now += RESEND_SECONDS
        await delivery.step()
    assert [attempt.nonce for attempt in row(store, key).attempts] == [0]
    chain.finalised = 1
    await delivery.step()
    assert len(row(store, key).attempts) == 1, "asked twice, with a pause"
    clock.now += NONCE_GRACE_SECONDS
    await drain(delivery)
    assert [attempt.nonce for attempt in row(store, key).attempts] == [0, 1]
    assert chain.state.bets == [(3, 1, "A", 2, 10**30)]


async def test_a_node_that_forgot_the_receipt_does_not_make_us_bet_twice(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock, signer: FakeSigner
) -> None:
    key = store.put(BET)[0].key
    await delivery.step()
    hidden = dict(chain.state.receipts)
    chain.state.receipts.clear()
    chain.finalised = 0
    for _ in range(4):
        clock.now += RESEND_SECONDS
        await delivery.step()
    assert (row(store, key).state, signer.signed) == (State.SENT, 1)
    chain.finalised = 1
    await delivery.step()  # seen lost once
    chain.state.receipts.update(hidden)  # the node caught up
    clock.now += NONCE_GRACE_SECONDS
    await drain(delivery)
    assert (row(store, key).state, signer.signed) == (State.DELIVERED, 1)
    assert len(chain.state.bets) == 1


@pytest.mark.parametrize("error", [RpcRefused(-32602, "unknown block tag"), Unavailable("gone")])
async def test_a_node_that_knows_no_finalised_block_leaves_the_bet_alone(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock, error: Unavailable
) -> None:
    key = store.put(BET)[0].key
    chain.drop_sends = True
    await delivery.step()
    chain.take_nonce()
    chain.script["lost_for_good"] = [error] * 50
    for _ in range(6):
        clock.now += RESEND_SECONDS
        await delivery.step()
    assert (row(store, key).state, len(row(store, key).attempts)) == (State.SENT, 1)


async def test_a_reverted_bet_waits_for_finality_too(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    chain.market_tells = True
    key = store.put(BET)[0].key
    chain.mining = False
    await delivery.step()
    chain.state.bets.append((3, 1, "A", 0, 1))  # another program bet first
    chain.mine()
    chain.finalised = 0
    await drain(delivery)
    assert (row(store, key).state, row(store, key).reverted) == (State.SENT, True)
    chain.finalised = 1
    await delivery.step()
    clock.now += NONCE_GRACE_SECONDS
    await drain(delivery)
    assert (row(store, key).state, row(store, key).tx_hash) == (State.DELIVERED, None)
    assert len(row(store, key).attempts) == 1


async def test_a_bet_never_moves_into_a_gap(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    hole = store.put(guess("A", 2, 0, 0, 1))[0]
    key = store.put(BET)[0].key
    chain.drop_sends = True
    await delivery.step()
    store.reject(hole.id, "given up")
    chain.drop_sends = False
    await delivery.step()
    clock.now += STUCK_SECONDS
    await delivery.step()
    filler = json.loads(chain.sent[-1])
    assert (filler["nonce"], filler["to"], filler["data"]) == (0, ACCOUNT, "")
    clock.now += RESEND_SECONDS
    await drain(delivery)
    assert (row(store, key).state, len(row(store, key).attempts)) == (State.DELIVERED, 1)


async def test_a_gap_behind_which_others_wait_is_filled_by_one_of_those(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    hole = store.put(guess("A", 2, 0, 0, 1))[0]
    bet, other = store.put(BET)[0].key, store.put(reward("A", 5, 0, 1))[0].key
    chain.drop_sends = True
    await delivery.step()
    store.reject(hole.id, "given up")
    chain.drop_sends = False
    await delivery.step()
    clock.now += STUCK_SECONDS
    await drain(delivery, 2)
    assert [attempt.nonce for attempt in row(store, other).attempts] == [2, 0]
    clock.now += RESEND_SECONDS
    await drain(delivery)
    assert (row(store, bet).state, len(row(store, bet).attempts)) == (State.DELIVERED, 1)


async def test_a_bet_of_another_account_is_not_repeated(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    bet = store.put(BET)[0]
    store.sign([(bet.id, Attempt("0xold", 77, b"old", OTHER))])
    await drain(delivery)
    assert (row(store, bet.key).state, row(store, bet.key).reason) == (State.REJECTED, "signed by another account")
    assert chain.state.bets == []
    assert "was signed by another account" in delivery.last_error


async def test_after_a_chain_went_back_a_bet_is_repeated_only_where_it_is_certainly_gone(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    before = chain.snapshot()
    key = store.put(BET)[0].key
    await drain(delivery)
    lost = chain.snapshot()
    chain.go_back(lost)
    chain.state.receipts.clear()  # as a chain that keeps the last blocks only
    await delivery.look_back()
    assert row(store, key).state is State.DELIVERED
    chain.go_back(before)
    await delivery.look_back()
    await drain(delivery)
    assert (row(store, key).state, len(row(store, key).attempts)) == (State.DELIVERED, 1), "the same bytes"
    assert chain.state.bets == [(3, 1, "A", 2, 10**30)]


async def test_where_the_market_tells_bets_it_is_asked(
    store: OutboxStore, chain: FakeChain, delivery: Delivery
) -> None:
    chain.market_tells = True
    before = chain.snapshot()
    keys = [store.put(request)[0].key for request in (BET, claim("A", 2))]
    await drain(delivery)
    chain.go_back(before)
    chain.state.bets.append((3, 1, "A", 2, 10**30))
    await delivery.look_back()
    assert [row(store, key).state for key in keys] == [State.DELIVERED, State.SENT]


async def test_a_claim_waits_for_the_answer_and_counts_once(
    store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    chain.open_games.add(2)
    key = store.put(claim("A", 2))[0].key
    await drain(delivery)
    assert (row(store, key).state, row(store, key).reason) == (State.QUEUED, "AnswerNotRevealed")
    chain.open_games.clear()
    chain.state.claims.add((2, "A"))  # claimed by another program meanwhile
    clock.now += decide.LATER + 1
    await drain(delivery)
    assert (row(store, key).state, row(store, key).tx_hash) == (State.DELIVERED, None)


async def test_what_is_signed_before_a_crash_is_not_bet_again(
    open_store: Callable[[], OutboxStore], store: OutboxStore, chain: FakeChain, delivery: Delivery, clock: FakeClock
) -> None:
    key = store.put(BET)[0].key
    chain.lose_replies = 1
    await delivery.step()
    assert len(chain.state.bets) == 1
    reborn = open_store()
    assert row(reborn, key).attempts[0].raw == chain.sent[0]
    await drain(delivery)
    assert len(chain.state.bets) == 1
