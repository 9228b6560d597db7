"""genrl's codec against hostile bytes: claims never cost more than the input, nothing recurses, reasons are told."""

from __future__ import annotations

import struct
import tracemalloc

import pytest

from swarm_core.errors import RecordError
from swarm_core.genrl import MAX_BYTES, MAX_DEPTH, MAX_ITEMS, Payload, decode, encode


def u64(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}Q", *numbers)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "truncated"),
        (u64(99), "unknown_type"),
        (u64(1, 2**28), "too_many_items"),
        (u64(1, 2**63), "too_many_items"),
        (u64(2, 2**31), "too_many_items"),
        (u64(3, 2**40), "too_large"),
        (u64(3, 100) + b"x", "truncated"),
        (u64(3, 1) + b"\xff", "not_utf8"),
        (u64(4, 2 * 1024 * 1024), "too_large"),
        (u64(5, 4) + b"xxxx", "wrong_type"),
        (u64(6) + b"2", "wrong_type"),
        (u64(1, 1) * 500 + u64(9), "too_deep"),
        (u64(2, 1, 1, 0, 9), "wrong_type"),
        (b"\0" * (MAX_BYTES + 1), "too_large"),
        (u64(1, MAX_ITEMS) + u64(9) * MAX_ITEMS, "too_many_items"),
    ],
)
def test_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode(data)
    assert caught.value.reason == reason


@pytest.mark.parametrize("claim", [u64(1, 2**28), u64(1, 2**31), u64(3, 2**31), u64(4, 2**31), u64(1, 1) * 30_000])
def test_a_bomb_allocates_next_to_nothing(claim: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RecordError):
            decode(claim)
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024
    finally:
        tracemalloc.stop()


def test_the_deepest_value_is_read_and_a_deeper_one_is_not_written() -> None:
    value: object = None
    for _ in range(MAX_DEPTH):
        value = [value]
    assert decode(encode(value)) == (value, b"")
    with pytest.raises(RecordError) as caught:
        encode([value])
    assert caught.value.reason == "too_deep"


@pytest.mark.parametrize("value", [(1, 2), {1, 2}, b"x", Payload(object(), [], None), "\ud800"])
def test_types_that_upstream_does_not_know_are_not_written(value: object) -> None:
    with pytest.raises(RecordError):
        encode(value)


def test_integers_of_any_length_are_read() -> None:
    assert decode(u64(4, 1) + b"\xff") == (-1, b"")
    assert decode(u64(4, 0)) == (0, b"")
