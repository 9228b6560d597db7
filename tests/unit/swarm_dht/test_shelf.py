"""What the node serves: the newest fresh batch, only groups with advantage, idempotent; and who took it."""

from __future__ import annotations

from tests.support.daemons import group

from swarm_core.records import GroupBatch, RolloutGroup
from swarm_dht.shelf import Shelf, has_advantage
from swarm_dht.wire import BATCH, NONE

NOW = 1_795_000_000.0


def _batch(number: int, *groups: RolloutGroup, at: float = NOW) -> GroupBatch:
    return GroupBatch(number, at, groups)


def test_an_empty_shelf_answers_none() -> None:
    shelf = Shelf(600.0)
    assert shelf.reply(NOW).kind == NONE
    assert shelf.newest_round is None
    assert shelf.serving(NOW) == ()


def test_the_newest_batch_with_its_age() -> None:
    shelf = Shelf(600.0)
    first, second = _batch(1, group(1)), _batch(2, group(2), at=NOW + 10)
    shelf.put(first)
    shelf.put(second)
    reply = shelf.reply(NOW + 15)
    assert (reply.kind, reply.age, reply.data) == (BATCH, 5.0, second.encode())
    assert shelf.newest_round == 2
    assert shelf.serving(NOW + 15) == (group(2).digest(),)


def test_newest_is_what_was_put_last_also_when_rounds_go_back() -> None:
    shelf = Shelf(600.0)
    shelf.put(_batch(100, group(1)))
    shelf.put(_batch(3, group(2)))
    assert shelf.newest_round == 3
    shelf.put(_batch(100, group(3)))
    assert shelf.serving(NOW) == (group(3).digest(),)


def test_a_batch_is_served_up_to_its_age_and_not_after() -> None:
    shelf = Shelf(600.0)
    shelf.put(_batch(1, group(1)))
    assert shelf.reply(NOW + 600.0).kind == BATCH
    assert shelf.reply(NOW + 600.1).kind == NONE
    assert shelf.serving(NOW + 601) == ()
    assert [entry.serving for entry in shelf.published(NOW + 601)] == [False]


def test_a_clock_that_went_back_gives_age_zero() -> None:
    shelf = Shelf(600.0)
    shelf.put(_batch(1, group(1)))
    assert shelf.reply(NOW - 5).age == 0.0


def test_groups_without_advantage_are_left_out_and_counted() -> None:
    flat = group(1, (0.5, 0.5))
    assert not has_advantage(flat)
    assert has_advantage(group(1, (0.5, 0.5, 0.6)))
    shelf = Shelf(600.0)
    assert shelf.put(_batch(1, flat, group(2))) == 1
    assert shelf.dropped_groups == 1
    assert [found.seed for found in GroupBatch.decode(shelf.reply(NOW).data).groups] == [2]
    assert shelf.put(_batch(2, flat)) == 0
    assert shelf.reply(NOW).kind == NONE


def test_putting_again_does_not_repeat_the_history() -> None:
    shelf = Shelf(600.0)
    for _ in range(3):
        shelf.put(_batch(1, group(1), group(2)))
    shelf.put(_batch(2, group(3)))
    history = shelf.published(NOW)
    assert [entry.round for entry in history] == [1, 1, 2]
    assert [entry.serving for entry in history] == [False, False, True]


def test_readers_are_counted_and_bounded() -> None:
    shelf = Shelf(600.0)
    for number in range(300):
        shelf.record_fetch(f"peer{number}", 10)
    shelf.record_fetch("peer299", 10)
    assert shelf.fetched_by["peer299"] == 2
    assert len(shelf.fetched_by) == 256
    assert "peer0" not in shelf.fetched_by
    assert shelf.bytes_sent == 3010
