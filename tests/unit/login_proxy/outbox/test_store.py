"""Rows and their transitions: what is allowed, what survives, what is never touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.fake_chain import FakeClock

from login_proxy.outbox import store as store_module
from login_proxy.outbox.intents import Attempt, ParkReason, State, Target, register, reward, winner
from login_proxy.outbox.schema import MIGRATIONS
from login_proxy.outbox.store import Conflict, OutboxStore, Seen
from swarm_core.errors import FatalError

A_ATTEMPT = Attempt("0x1", 3, b"raw", "me")


def state_of(store: OutboxStore, key: str) -> tuple[State, str]:
    intent = store.get(key)
    assert intent is not None
    return intent.state, intent.reason


def test_the_same_intent_is_one_row_and_another_content_is_a_conflict(store: OutboxStore) -> None:
    first, is_new = store.put(reward("A", 1, 0, 5))
    again, is_new_again = store.put(reward("A", 1, 0, 5))
    assert (is_new, is_new_again) == (True, False)
    assert first == again
    with pytest.raises(Conflict):
        store.put(reward("A", 1, 0, 6))
    assert store.counts() == {"reward": {"queued": 1}}


def test_rows_read_back_as_they_were_put(store: OutboxStore, clock: FakeClock) -> None:
    for request in (register("A"), reward("A", 2**53, 255, -(2**53)), winner("A", 3, ("B", "C"))):
        row, _ = store.put(request)
        assert (row.request, row.state, row.attempts, row.created_at) == (request, State.QUEUED, (), clock.now)
        assert row.key == request.key(store.target)
        assert store.get(row.key) == row
    assert store.get("no such key") is None


def test_everything_survives_reopening(open_store: Callable[[], OutboxStore]) -> None:
    store = open_store()
    row, _ = store.put(reward("A", 1, 0, 5))
    store.sign([(row.id, A_ATTEMPT)])
    store.remember_genesis("g")
    store.add_peer("A", "main")
    again = open_store()
    (sent,) = again.sent()
    assert (sent.id, sent.attempts, sent.nonce("me")) == (row.id, (A_ATTEMPT,), 3)
    assert again.genesis() == "g"
    assert again.own_peers() == {"A": "main"}


def test_sendable_is_what_the_gate_lets_through_when_due_oldest_first(store: OutboxStore, clock: FakeClock) -> None:
    a_late, _ = store.put(reward("A", 1, 0, 5))
    b_register, _ = store.put(register("B"))
    a_vote, _ = store.put(winner("A", 1, ("A",)))
    store.put(reward("B", 1, 0, 5))
    a_register, _ = store.put(register("A"))
    assert [i.id for i in store.sendable(9, bound={"B"}, registered={"A"})] == [a_late.id, b_register.id, a_vote.id]
    assert [i.id for i in store.sendable(9, bound={"A"}, registered=set())] == [a_register.id]
    assert [i.id for i in store.sendable(1, bound={"B"}, registered={"A"})] == [a_late.id]
    assert store.sendable(0, bound={"B"}, registered={"A"}) == []
    assert store.sendable(-1, bound={"B"}, registered={"A"}) == []
    store.postpone(a_late.id, "later", 10.0)
    assert [i.id for i in store.sendable(9, bound=set(), registered={"A"})] == [a_vote.id]
    clock.now += 10.0
    assert [i.id for i in store.sendable(9, bound=set(), registered={"A"})] == [a_late.id, a_vote.id]


def test_a_clock_that_is_set_back_does_not_hold_intents(store: OutboxStore, clock: FakeClock) -> None:
    row, _ = store.put(reward("A", 1, 0, 5))
    store.postpone(row.id, "later", 15.0)
    clock.now -= 86_400.0
    assert [i.id for i in store.sendable(9, bound=set(), registered={"A"})] == [row.id]
    clock.now += 86_400.0
    assert store.sendable(9, bound=set(), registered={"A"}) == []


def test_the_way_of_an_intent(store: OutboxStore) -> None:
    row, _ = store.put(reward("A", 1, 0, 5))
    assert store.has_work()
    store.postpone(row.id, "why", 0.0)
    assert state_of(store, row.key) == (State.QUEUED, "why")
    store.sign([(row.id, A_ATTEMPT)])
    assert state_of(store, row.key) == (State.SENT, "")
    assert store.sendable(9, {"A"}, {"A"}) == []
    assert store.has_work()
    store.deliver([(row.id, "0x1", 8)], Seen(8, "h8"))
    done = store.get(row.key)
    assert done is not None
    assert (done.state, done.tx_hash, done.block, done.tries) == (State.DELIVERED, "0x1", 8, 1)
    assert store.seen() == Seen(8, "h8")
    assert not store.has_work()


@pytest.mark.parametrize("step", ["sign", "deliver", "reject", "postpone"])
def test_a_finished_intent_cannot_be_moved(store: OutboxStore, step: str) -> None:
    row, _ = store.put(reward("A", 1, 0, 5))
    store.reject(row.id, "InvalidVote")
    moves: dict[str, Callable[[], None]] = {
        "sign": lambda: store.sign([(row.id, A_ATTEMPT)]),
        "deliver": lambda: store.deliver([(row.id, None, 1)], Seen(1, "h")),
        "reject": lambda: store.reject(row.id, "x"),
        "postpone": lambda: store.postpone(row.id, "x", 1.0),
    }
    with pytest.raises(ValueError, match="is in no state"):
        moves[step]()
    assert state_of(store, row.key) == (State.REJECTED, "InvalidVote")
    assert store.seen() is None, "the whole transaction is undone"


def test_a_sent_intent_is_not_signed_twice(store: OutboxStore) -> None:
    row, _ = store.put(reward("A", 1, 0, 5))
    store.sign([(row.id, A_ATTEMPT)])
    with pytest.raises(ValueError, match="is in no state"):
        store.sign([(row.id, Attempt("0x2", 4, b"", "me"))])
    assert store.sent()[0].attempts == (A_ATTEMPT,)


def test_recalled_intents_are_sent_again_with_their_bytes_or_queued_without(store: OutboxStore) -> None:
    with_bytes, _ = store.put(reward("A", 1, 0, 5))
    without, _ = store.put(reward("A", 2, 0, 5))
    reverted, _ = store.put(reward("A", 3, 0, 5))
    store.sign([(with_bytes.id, A_ATTEMPT), (reverted.id, Attempt("0x3", 5, b"", "me"))])
    store.mark_reverted(reverted.id, "0x3")
    store.deliver([(row.id, "h", 1) for row in (with_bytes, without, reverted)], None)
    store.recall([with_bytes.id, without.id, reverted.id])
    assert state_of(store, with_bytes.key) == (State.SENT, "the chain went back")
    assert state_of(store, without.key)[0] is State.QUEUED
    assert state_of(store, reverted.key)[0] is State.QUEUED
    row = store.get(with_bytes.key)
    assert row is not None
    assert (row.tx_hash, row.block) == (None, None)


def test_delivered_are_listed_newest_block_first(store: OutboxStore) -> None:
    rows = [store.put(reward("A", n, 0, 1))[0] for n in range(4)]
    for row, block in zip(rows, (5, 7, 6, 7), strict=True):
        store.deliver([(row.id, None, block)], None)
    assert [row.block for row in store.delivered(3)] == [7, 7, 6]
    assert [row.id for row in store.delivered(2)] == [rows[3].id, rows[1].id]
    assert [row.block for row in store.delivered(9, offset=3)] == [5]
    assert [row.id for row in store.recent(2)] == [rows[3].id, rows[2].id]


def test_parking_one_peer_holds_what_waits_and_lets_fly_what_flies(store: OutboxStore) -> None:
    flying, _ = store.put(reward("A", 1, 0, 5))
    waiting, _ = store.put(reward("A", 2, 0, 5))
    other, _ = store.put(reward("B", 2, 0, 5))
    store.sign([(flying.id, A_ATTEMPT)])
    assert store.park(ParkReason.OWNED_BY_OTHER, "A") == 1
    assert state_of(store, flying.key)[0] is State.SENT
    assert state_of(store, waiting.key) == (State.PARKED, "owned_by_other")
    assert state_of(store, other.key)[0] is State.QUEUED
    assert store.unpark(ParkReason.WRONG_CHAIN) == 0
    assert store.unpark(ParkReason.OWNED_BY_OTHER, "B") == 0
    assert store.unpark(ParkReason.OWNED_BY_OTHER, "A") == 1
    assert state_of(store, waiting.key) == (State.QUEUED, "")


def test_parking_everything_and_back(store: OutboxStore) -> None:
    flying, _ = store.put(reward("A", 1, 0, 5))
    waiting, _ = store.put(reward("B", 2, 0, 5))
    done, _ = store.put(reward("B", 3, 0, 5))
    store.deliver([(done.id, None, 1)], None)
    store.sign([(flying.id, A_ATTEMPT)])
    assert store.park(ParkReason.WRONG_CHAIN) == 2
    assert not store.has_work()
    assert store.sent() == []
    assert store.unpark(ParkReason.WRONG_CHAIN) == 2
    assert state_of(store, flying.key)[0] is State.SENT
    assert state_of(store, waiting.key)[0] is State.QUEUED
    assert state_of(store, done.key)[0] is State.DELIVERED


def test_another_target_parks_the_old_ones_and_coming_back_frees_them(store: OutboxStore) -> None:
    old, _ = store.put(reward("A", 1, 0, 5))
    first = store.target
    store.retarget(Target(1, "0xother", "0xg"))
    assert state_of(store, old.key) == (State.PARKED, "other_target")
    assert (store.counts(), store.has_work(), store.reward_sums(), store.recent(9)) == ({}, False, {}, [])
    new, is_new = store.put(reward("A", 1, 0, 9))
    assert is_new, "the same round of another chain is another intent"
    store.retarget(first)
    assert state_of(store, old.key) == (State.QUEUED, "")
    assert state_of(store, new.key) == (State.PARKED, "other_target")


def test_what_is_remembered_of_a_chain_belongs_to_its_target(store: OutboxStore) -> None:
    store.remember_seen(Seen(4, "h4"))
    store.remember_genesis("g")
    store.retarget(Target(2, "0xother"))
    assert (store.seen(), store.genesis()) == (None, None)


def test_sums_and_counts(store: OutboxStore, clock: FakeClock) -> None:
    assert store.oldest_unfinished() is None
    for number, amount in enumerate((5, -2, 9)):
        store.put(reward("A", number, 0, amount))
        clock.now += 1
    store.put(winner("A", 1, ("A",)))
    store.deliver([(store.recent(9)[-1].id, "h", 1)], None)
    assert store.reward_sums() == {"A": {"delivered": 5, "queued": 7}}
    assert store.counts() == {"reward": {"delivered": 1, "queued": 2}, "winner": {"queued": 1}}
    assert store.oldest_unfinished() == 1001.0


def test_sums_follow_every_move_and_are_made_for_a_file_of_the_first_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MIGRATIONS", MIGRATIONS[:1])
    old = OutboxStore(tmp_path / "old.sqlite", Target(1, "0xc"))
    wishes = [reward(peer, number, 0, number + 1) for number in range(4) for peer in "AB"]
    for place, wish in enumerate(wishes):  # as the first version stored them
        old._db.execute(
            "INSERT INTO intents (key, target, kind, peer_id, round, stage, reward, winners, state, created_at,"
            " updated_at) VALUES (?, '1|0xc', 'reward', ?, ?, 0, ?, '[]', ?, 1, 1)",
            (wish.key(old.target), wish.peer_id, wish.round, wish.reward, "delivered" if place < 3 else "queued"),
        )
    old.close()
    monkeypatch.setattr(store_module, "MIGRATIONS", MIGRATIONS)
    store = OutboxStore(tmp_path / "old.sqlite", Target(1, "0xc"))
    rows = [row for wish in wishes if (row := store.get(wish.key(store.target))) is not None]
    assert len(rows) == 8

    def agree() -> None:
        rows = store._db.execute("SELECT peer_id, state, sum(reward) AS s FROM intents GROUP BY peer_id, state")
        expected: dict[str, dict[str, int]] = {}
        for row in rows:
            expected.setdefault(row["peer_id"], {})[row["state"]] = row["s"]
        assert store.reward_sums() == expected
        counted = store._db.execute("SELECT state, count(*) AS n FROM intents GROUP BY state").fetchall()
        assert store.counts() == {"reward": {row["state"]: row["n"] for row in counted}}

    agree()
    store.put(reward("C", 0, 0, 7))
    store.put(reward("C", 0, 0, 7))  # the same again is no second one
    store.sign([(rows[3].id, A_ATTEMPT)])
    agree()
    store.park(ParkReason.WRONG_CHAIN)
    agree()
    store.unpark(ParkReason.WRONG_CHAIN)
    store.deliver([(rows[3].id, "h", 2), (rows[4].id, None, 2)], None)
    store.recall([rows[0].id, rows[3].id])
    store.reject(rows[5].id, "InvalidVote")
    store.postpone(rows[6].id, "later", 1.0)
    agree()


def test_a_registration_is_wished_for_again_only_when_it_was_finished(store: OutboxStore) -> None:
    row, _ = store.put(register("A"))
    store.deliver([(row.id, None, 1)], None)
    store.wish_again(row.key)
    assert state_of(store, row.key)[0] is State.QUEUED
    store.sign([(row.id, A_ATTEMPT)])
    store.wish_again(row.key)
    assert state_of(store, row.key)[0] is State.SENT


def test_old_bytes_of_finished_intents_are_forgotten(store: OutboxStore, clock: FakeClock) -> None:
    rows = [store.put(reward("A", n, 0, 1))[0] for n in range(3)]
    store.sign([(row.id, Attempt(f"0x{row.id}", row.id, b"raw", "me")) for row in rows])
    store.deliver([(rows[0].id, "h", 1)], None)
    clock.now += 100
    store.deliver([(rows[1].id, "h", 1)], None)
    assert store.prune(50.0) == 0  # the newest rows stay
    kept = [store.get(row.key) for row in rows]
    assert [len(row.attempts) for row in kept if row is not None] == [0, 1, 1]


def test_a_damaged_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_bytes(b"this is no database, but it is long enough to be looked at" * 20)
    before = path.read_bytes()
    with pytest.raises(FatalError, match="nothing was changed"):
        OutboxStore(path, Target(1, "0xc"))
    assert path.read_bytes() == before


def test_a_file_of_a_newer_version_is_refused(open_store: Callable[[], OutboxStore], tmp_path: Path) -> None:
    store = open_store()
    store._db.execute("PRAGMA user_version=99")
    with pytest.raises(FatalError, match="newer version"):
        open_store()


def test_a_peer_that_a_restore_replaced_is_a_former_one_until_it_returns(store: OutboxStore) -> None:
    store.add_peer("A", "main")
    store.add_peer("S", "peer-1")
    store.add_peer("B", "main")
    assert store.own_peers() == {"A": "main", "B": "main", "S": "peer-1"}, "what A earned is still delivered"
    assert store.former_peers() == {"A"}
    store.add_peer("A", "main")
    assert store.former_peers() == {"B"}
    for peer in ("U", "V"):
        store.add_peer(peer, "(upstream)", alone=False)
    assert store.former_peers() == {"B"}
