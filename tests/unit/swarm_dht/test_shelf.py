"""What the node serves: the newest fresh batch, only groups with advantage, idempotent; and who took it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from dataclasses import replace

from tests.support.daemons import group

from swarm_core.records import GroupBatch, RolloutGroup
from swarm_dht.shelf import Shelf, has_advantage
from swarm_dht.wire import BATCH, LARGE, NONE, RAW, SAME, ZSTD, FetchReply, FetchRequest, mark_of

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


RICH = replace(group(1), metadata=(("temperature", 1.0),), logprobs=((-0.5,), (-0.25,)), tokenizer="0f" * 32)


async def test_each_caller_gets_what_it_can_read() -> None:
    shelf = Shelf(600.0)
    batch = _batch(1, RICH)
    shelf.put(batch)
    old = await shelf.answer(FetchRequest(version=1), NOW, unary=True)
    assert GroupBatch.decode(old.data) == _batch(1, group(1))
    assert FetchReply.decode(old.encode()).kind == BATCH
    new = await shelf.answer(FetchRequest(), NOW + 5, unary=True)
    assert (new.kind, new.age, new.payload()) == (BATCH, 5.0, batch.encode())
    assert new.encoding == ZSTD
    raw = await shelf.answer(FetchRequest(zstd=False), NOW, unary=True)
    assert (raw.encoding, raw.data) == (RAW, batch.encode())


async def test_what_the_caller_has_does_not_travel_again() -> None:
    shelf = Shelf(600.0)
    shelf.put(_batch(1, RICH))
    have = mark_of(_batch(1, RICH).encode())
    same = await shelf.answer(FetchRequest(have=have), NOW, unary=True)
    assert (same.kind, len(same.encode(2))) == (SAME, 12)
    shelf.put(_batch(2, group(2)))
    assert (await shelf.answer(FetchRequest(have=have), NOW, unary=True)).kind == BATCH


async def test_a_batch_above_a_mebibyte_is_announced_and_streamed() -> None:
    random_bytes = hashlib.shake_256(b"").hexdigest(8000)  # hex: compresses to half at most
    large = [group(seed, size=10) for seed in range(60)]
    batch = _batch(1, *[replace(found, completions=(random_bytes, random_bytes[1:]), tokenizer="0f" * 32,
                                logprobs=tuple(tuple(-float(n % 977) for n in range(4000)) for _ in range(2)))
                        for found in large])  # fmt: skip
    shelf = Shelf(600.0)
    shelf.put(batch)
    asked = FetchRequest(zstd=False)
    assert (await shelf.answer(asked, NOW, unary=True)).kind == LARGE
    streamed = await shelf.answer(asked, NOW, unary=False)
    assert streamed.data == batch.encode()
    assert len(streamed.data) > 1024 * 1024
    old = await shelf.answer(FetchRequest(version=1), NOW, unary=True)
    assert 0 < len(old.data) <= 1024 * 1024


async def test_a_long_poll_ends_with_news_or_its_time() -> None:
    shelf = Shelf(600.0)
    started = time.monotonic()
    assert (await shelf.answer(FetchRequest(wait=0.05), NOW, unary=True)).kind == NONE
    assert time.monotonic() - started >= 0.05
    asking = asyncio.create_task(shelf.answer(FetchRequest(wait=5.0), NOW, unary=True))
    await asyncio.sleep(0)
    shelf.put(_batch(1, RICH))
    assert (await asking).kind == BATCH
    assert time.monotonic() - started < 2.0


async def test_only_so_many_wait() -> None:
    shelf = Shelf(600.0)
    asking = [asyncio.create_task(shelf.answer(FetchRequest(wait=5.0), NOW, unary=True)) for _ in range(100)]
    done, waiting = await asyncio.wait(asking, timeout=0.05)
    assert (len(done), len(waiting)) == (36, 64)
    shelf.put(_batch(1, RICH))
    assert {reply.kind for reply in await asyncio.gather(*waiting)} == {BATCH}
