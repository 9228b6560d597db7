"""Fees: a stuck transaction is offered at least 10 % more with the same nonce, bounded by the cap, and counts once."""

from __future__ import annotations

import json

import pytest
from tests.support.fake_chain import ACCOUNT, FakeChain, FakeClock, FakeSigner

from login_proxy.outbox.bids import PATIENCE_SECONDS
from login_proxy.outbox.delivery import REESTIMATE_SECONDS, Delivery
from login_proxy.outbox.eoa import EoaSubmitter
from login_proxy.outbox.fees import GWEI, raised, within
from login_proxy.outbox.flight import RESEND_SECONDS
from login_proxy.outbox.funds import Shortage, affordable
from login_proxy.outbox.intents import Attempt, Intent, State, guess, reward
from login_proxy.outbox.store import OutboxStore
from swarm_chain.errors import RpcRefused
from swarm_chain.records import Fees
from swarm_core.errors import Unavailable

CAP = 100


def row(store: OutboxStore, key: str) -> Intent:
    intent = store.get(key)
    assert intent is not None
    return intent


@pytest.fixture
def paid(store: OutboxStore, chain: FakeChain, signer: FakeSigner, gate: object, clock: FakeClock) -> Delivery:
    """Delivery on a chain whose gas costs something."""
    chain.price, chain.money = Fees(20, 2), 10**9
    return Delivery(store, chain, EoaSubmitter(signer, chain), gate, clock, CAP)  # type: ignore[arg-type]


def offers(chain: FakeChain) -> list[list[int]]:
    return [json.loads(raw)["fees"] for raw in chain.sent]


@pytest.mark.parametrize(
    ("last", "market", "offer"),
    [
        (Fees(0, 0), Fees(0, 0), None),  # gas is free
        (Fees(16, 8), Fees(0, 0), Fees(18, 9)),
        (Fees(17, 1), Fees(0, 0), Fees(20, 2)),  # rounded up
        (Fees(16, 8), Fees(50, 9), Fees(50, 9)),
        (Fees(16, 8), Fees(50, 30), Fees(50, 30)),
        (Fees(90, 8), Fees(90, 8), Fees(100, 9)),  # 11 % more is left below the cap
        (Fees(95, 8), Fees(200, 8), None),
        (Fees(90, 99), Fees(90, 99), None),  # the tip cannot be raised any more
        (Fees(0, 0), Fees(7, 1), Fees(7, 1)),
    ],
)
def test_the_next_offer(last: Fees, market: Fees, offer: Fees | None) -> None:
    assert raised(last, market, CAP) == offer


def test_no_fee_is_above_the_cap() -> None:
    assert within(Fees(50, 60), 40) == Fees(40, 40)
    assert within(Fees(30, 3), 40) == Fees(30, 3)
    assert GWEI == 10**9


@pytest.mark.parametrize("request_", [reward("A", 5, 0, 1), guess("A", 1, 0, 0, 7)])
async def test_a_stuck_transaction_is_offered_more_and_counts_once(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock, request_: object
) -> None:
    key = store.put(request_)[0].key  # type: ignore[arg-type]
    chain.mining = False
    await paid.step()
    assert offers(chain) == [[20, 2]]
    clock.now += PATIENCE_SECONDS - 0.1
    await paid.step()
    assert offers(chain) == [[20, 2], [20, 2]], "the same bytes until patience ends"
    clock.now += RESEND_SECONDS
    await paid.step()
    assert offers(chain)[-1] == [23, 3]
    assert [(a.nonce, a.fees, a.gas) for a in row(store, key).attempts] == [
        (0, Fees(20, 2), 1500), (0, Fees(23, 3), 1500),
    ]  # fmt: skip
    clock.now += RESEND_SECONDS
    await paid.step()
    assert offers(chain)[-1] == [23, 3], "the new offer has its time"
    chain.mine()
    await paid.step()
    assert (row(store, key).state, row(store, key).tx_hash) == (State.DELIVERED, row(store, key).attempts[1].hash)
    assert chain.state.nonces[ACCOUNT.lower()] == 1


async def test_the_first_offer_may_be_the_one_that_is_mined(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.mining = False
    await paid.step()
    first = dict(chain.pool)
    clock.now += PATIENCE_SECONDS
    await paid.step()
    chain.pool = first
    chain.mine()
    await paid.step()
    assert (row(store, key).state, row(store, key).tx_hash) == (State.DELIVERED, row(store, key).attempts[0].hash)


async def test_a_reverted_first_offer_ends_the_second(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.mining = False
    await paid.step()
    first = dict(chain.pool)
    clock.now += PATIENCE_SECONDS
    await paid.step()
    chain.pool, chain.round = first, 50
    chain.mine()
    chain.round, chain.mining = 10, True
    for _ in range(3):
        await paid.step()
    assert [attempt.nonce for attempt in row(store, key).attempts] == [0, 0, 1]
    assert row(store, key).state is State.DELIVERED


async def test_an_offer_refused_as_too_low_is_raised_without_waiting(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.script["send_raw"] = [RpcRefused(-32000, "max fee per gas less than block base fee")]
    await paid.step()
    chain.price = Fees(60, 2)
    clock.now += RESEND_SECONDS
    await paid.step()
    assert offers(chain) == [[60, 3]]
    await paid.step()
    assert row(store, key).state is State.DELIVERED


async def test_above_the_cap_the_same_bytes_wait_and_it_is_said(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    chain.price = Fees(500, 2)
    key = store.put(reward("A", 5, 0, 1))[0].key
    await paid.step()
    assert row(store, key).attempts[0].fees == Fees(CAP, 2)
    for _ in range(6):
        clock.now += PATIENCE_SECONDS
        await paid.step()
    assert len(row(store, key).attempts) == 1
    assert "SWARM_MAX_FEE_GWEI" in paid.last_error
    chain.price = Fees(80, 2)
    clock.now += RESEND_SECONDS
    await paid.step()
    await paid.step()
    assert row(store, key).state is State.DELIVERED


async def test_only_the_next_ones_in_the_line_are_offered_more(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    keys = [store.put(reward("A", 5, stage, 1))[0].key for stage in range(12)]
    chain.mining = False
    await paid.step()
    clock.now += PATIENCE_SECONDS
    await paid.step()
    assert [len(row(store, key).attempts) for key in keys] == [2] * 8 + [1] * 4


async def test_what_an_older_version_signed_is_only_repeated(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    intent = store.put(reward("A", 5, 0, 1))[0]
    store.sign([(intent.id, Attempt("0xold", 0, b'{"from": "x", "nonce": 5, "fees": [99, 9]}', ACCOUNT))])
    for _ in range(3):
        clock.now += PATIENCE_SECONDS
        await paid.step()
    assert len(row(store, intent.key).attempts) == 1


async def test_lost_answers_about_fees_leave_the_offer(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.mining = False
    await paid.step()
    clock.now += PATIENCE_SECONDS
    chain.script["fees"] = [Unavailable("gone")]
    assert len((await paid.step()).lost) == 1
    assert (len(row(store, key).attempts), len(chain.sent)) == (1, 2)


# gas money


async def test_without_gas_money_nothing_is_lost_and_it_goes_on_once_funded(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    chain.money = 29_999
    keys = [store.put(reward("A", number, 0, 1))[0].key for number in (5, 6)]
    await paid.step()
    assert paid.short == Shortage(balance=29_999, needed=30_000)
    assert [row(store, key).state for key in keys] == [State.QUEUED] * 2
    assert chain.sent == []
    chain.money = 5
    chain.script["estimate_gas"] = [Unavailable("must not be asked")]
    await paid.step()
    assert paid.short == Shortage(balance=5, needed=30_000)
    chain.script.clear()
    chain.money = 30_000
    await paid.step()
    assert paid.short is None
    assert [row(store, key).state for key in keys] == [State.SENT, State.QUEUED], "as far as the money goes"
    chain.money = 100_000
    for _ in range(3):
        await paid.step()
    assert [row(store, key).state for key in keys] == [State.DELIVERED] * 2


async def test_a_shortage_is_computed_anew_when_gas_gets_cheaper(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock
) -> None:
    chain.money = 20_000
    key = store.put(reward("A", 5, 0, 1))[0].key
    await paid.step()
    chain.price = Fees(10, 1)
    await paid.step()
    assert paid.short is not None
    clock.now += REESTIMATE_SECONDS
    await paid.step()
    assert paid.short is None
    await paid.step()
    assert row(store, key).state is State.DELIVERED


@pytest.mark.parametrize("call", ["estimate_gas", "send_raw"])
async def test_a_node_that_misses_funds_says_how_much(
    store: OutboxStore, chain: FakeChain, paid: Delivery, clock: FakeClock, call: str
) -> None:
    chain.script[call] = [RpcRefused(-32000, "insufficient funds for gas * price + value")]
    key = store.put(reward("A", 5, 0, 1))[0].key
    chain.money = 30_000  # enough by our own reckoning
    await paid.step()
    assert paid.short == Shortage(balance=30_000, needed=200_000 * 20)
    chain.money = 10**9
    clock.now += 60
    for _ in range(3):
        await paid.step()
    assert (paid.short, row(store, key).state) == (None, State.DELIVERED)


def test_money_in_flight_is_reserved(store: OutboxStore) -> None:
    flying = store.put(reward("A", 5, 0, 1))[0]
    store.sign([(flying.id, Attempt("h", 0, b"", ACCOUNT, gas=10, fees=Fees(5, 1)))])
    held = store.sent()
    assert held[0].attempts[0].cost == 50
    assert affordable([10, 10, 10], 5, 150, held) == (2, None)
    assert affordable([10], 5, 60, held) == (0, None)
    assert affordable([10], 5, 49, []) == (0, Shortage(49, 50))
    assert affordable([10], 5, 50, []) == (1, None)
    assert affordable([], 5, 0, []) == (0, None)
    assert Shortage(1, 5).after(4) == Shortage(4, 5)
    assert Shortage(1, 5).after(5) is None
