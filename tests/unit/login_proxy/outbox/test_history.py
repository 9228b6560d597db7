"""Old intents become bits: the file stays small, sums stay exact, and the same intent again is still not sent twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_chain import FakeClock

from login_proxy.outbox import store as store_module
from login_proxy.outbox.history import BLOCK, place
from login_proxy.outbox.intents import Attempt, Kind, State, claim, guess, register, reward, winner
from login_proxy.outbox.store import OutboxStore


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "KEEP_ROWS", 2)


def rows(store: OutboxStore, table: str = "intents") -> int:
    return int(store._db.execute(f"SELECT count(*) AS n FROM {table}").fetchone()["n"])  # noqa: S608


def finish(store: OutboxStore, *requests: object) -> None:
    for request in requests:
        intent, _ = store.put(request)  # type: ignore[arg-type]
        store.sign([(intent.id, Attempt("h", 1, b"raw", "me"))])
        store.deliver([(intent.id, "h", 1)], None)


def test_finished_rows_go_and_the_sums_stay(store: OutboxStore, clock: FakeClock) -> None:
    requests = [reward("A", number, 0, number) for number in (1, 2, BLOCK, 3 * BLOCK + 5)]
    bets = [guess("A", 7, 0, 1, 5), guess("A", 7, 1, 1, 5), claim("A", 7), winner("A", 2, ("A",))]
    finish(store, *requests, *bets, register("B"))
    bad, _ = store.put(reward("A", 77, 0, 50))
    store.reject(bad.id, "InvalidVote")
    waiting, _ = store.put(reward("A", 78, 0, 60))
    counts, sums = store.counts(), store.reward_sums()
    clock.now += 100
    for number in range(2):
        store.put(reward("C", number, 0, 0))  # the newest rows
    before = store.counts()
    assert store.prune(50.0) == 9
    assert rows(store) == 4  # registration, the waiting one, the newest two
    assert rows(store, "attempts") == 0
    assert store.counts() == before
    assert store.reward_sums() == sums | {"C": {"queued": 0}}
    assert counts["reward"] == {"delivered": 4, "rejected": 1, "queued": 1}
    assert store.get(waiting.key) is not None

    for request in [*requests, *bets]:
        again, new = store.put(request)
        assert (again.state, new, again.request) == (State.DELIVERED, False, request)
    assert store.put(reward("A", 77, 0, 50))[0].state is State.REJECTED
    assert store.counts() == before, "asked for again is not counted again"
    for fresh in (
        reward("A", 3, 0, 1), reward("A", 1, 1, 1), reward("B", 1, 0, 1), guess("A", 7, 2, 1, 5),
        guess("A", 8, 0, 1, 5), claim("A", 8), claim("B", 7), winner("A", 1, ("A",)), reward("A", BLOCK + 1, 0, 1),
    ):  # fmt: skip
        assert store.put(fresh)[1], fresh


def test_what_is_young_stays_and_much_is_done_in_parts(
    store: OutboxStore, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "COMPACT_ROWS", 3)
    finish(store, *[reward("A", number, 0, 1) for number in range(10)])
    assert store.prune(50.0) == 0
    clock.now += 100
    assert [store.prune(50.0) for _ in range(4)] == [3, 3, 2, 0]
    assert rows(store) == 2
    assert rows(store, "settled") == 1
    assert store.reward_sums() == {"A": {"delivered": 10}}
    finish(store, reward("A", 10, 0, 1), reward("A", 11, 0, 1))
    clock.now += 100
    store.prune(50.0)
    assert all(not store.put(reward("A", number, 0, 1))[1] for number in range(12)), "bits are added, not replaced"


def test_a_year_of_rounds_is_small(store: OutboxStore, clock: FakeClock) -> None:
    finish(store, *[reward("A", number, 0, 1) for number in range(0, 2 * BLOCK, 16)])
    clock.now += 100
    while store.prune(50.0):
        pass
    size = store._db.execute("SELECT sum(length(bits)) AS n FROM settled").fetchone()["n"]
    assert size <= 2 * BLOCK // 8


@given(number=st.integers(0, 2**40), stage=st.integers(-1, 255))
def test_every_intent_has_a_bit_of_its_own(number: int, stage: int) -> None:
    where = place(Kind.REWARD, number, stage)
    assert (where.series, where.block * BLOCK + where.bit) == (stage, number)
    assert 0 <= where.bit < BLOCK
    bet = place(Kind.GUESS, number, max(stage, 0))
    assert (bet.series, bet.block * BLOCK + bet.bit) == (number, max(stage, 0))
