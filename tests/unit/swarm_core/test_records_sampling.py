"""Version 2 of the wire records: extras are bounded and canonical, version 1 is readable, digests ignore extras."""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_core import records
from swarm_core.errors import RecordError
from swarm_core.records import GroupBatch, RolloutGroup

PLAIN = RolloutGroup("chain_sum", 7, "1 + 1?", "2", ("2", "3"), (1.0, 0.0))
TOKENIZER = "0f" * 32
RICH = dataclasses.replace(
    PLAIN,
    metadata=(("model", "embedded"), ("temperature", 0.5)),
    logprobs=((-0.5, -0.25), (-1.5,)),
    tokenizer=TOKENIZER,
)
BATCH = GroupBatch(3, 1_700_000_000.5, (RICH, PLAIN))

floats = st.floats(-1e4, 0, width=32)
scalars = st.text(max_size=20) | st.integers(-(2**53), 2**53) | st.booleans() | st.floats(-1e15, 1e15)


def rich(**changes: Any) -> RolloutGroup:
    return dataclasses.replace(RICH, **changes)


def fields(**changes: Any) -> bytes:
    packed = [struct.pack("<2f", -0.5, -0.25), struct.pack("<f", -1.5)]
    value = {
        "v": 2, "task": "chain_sum", "seed": 7, "question": "1 + 1?", "answer": "2", "completions": ["2", "3"],
        "rewards": [1.0, 0.0], "metadata": {"model": "embedded", "temperature": 0.5}, "logprobs": packed,
        "tokenizer": TOKENIZER, **changes,
    }  # fmt: skip
    return bytes(msgpack.packb(value))


def reason_of(call: Callable[[], object]) -> str:
    with pytest.raises(RecordError) as caught:
        call()
    return caught.value.reason


def test_bytes_are_the_ordered_map() -> None:
    assert RICH.encode() == fields()
    assert RolloutGroup.decode(fields()) == RICH
    assert msgpack.unpackb(BATCH.encode())["v"] == 2
    assert GroupBatch.decode(BATCH.encode()) == BATCH


@given(
    st.dictionaries(st.text(min_size=1, max_size=8), scalars, max_size=16),
    st.none() | st.tuples(*[st.lists(floats, min_size=1, max_size=5).map(tuple)] * 2),
)
def test_round_trip(metadata: dict[str, Any], logprobs: Any) -> None:
    extras = {"metadata": tuple(sorted(metadata.items())), "logprobs": logprobs}
    group = dataclasses.replace(PLAIN, **extras, tokenizer=TOKENIZER if logprobs else "")
    assert RolloutGroup.decode(group.encode()) == group
    assert group.digest() == PLAIN.digest()


def test_without_extras_it_is_version_1() -> None:
    assert RICH.plain() == PLAIN
    assert PLAIN.plain() is PLAIN
    assert msgpack.unpackb(PLAIN.encode())["v"] == 1
    assert msgpack.unpackb(GroupBatch(1, 0.0, (PLAIN,)).encode())["v"] == 1
    assert BATCH.plain() == GroupBatch(3, 1_700_000_000.5, (PLAIN, PLAIN))
    assert reason_of(lambda: RolloutGroup.decode(fields(metadata={}, logprobs=None, tokenizer=""))) == "not_canonical"


OUTSIDE = {
    "17 entries": ({"metadata": tuple((f"k{n:02}", n) for n in range(17))}, ("too_large", "not_msgpack")),
    "long key": ({"metadata": (("k" * 33, 1),)}, ("too_large",)),
    "long value": ({"metadata": (("k", "v" * 257),)}, ("too_large",)),
    "not sorted": ({"metadata": (("b", 1), ("a", 1))}, ("not_canonical",)),
    "nested": ({"metadata": (("k", ["x"]),)}, ("wrong_type",)),
    "nil": ({"metadata": (("k", None),)}, ("wrong_type",)),
    "large number": ({"metadata": (("k", 2**53 + 1),)}, ("out_of_range",)),
    "nan": ({"metadata": (("k", math.nan),)}, ("out_of_range",)),
    "key is a number": ({"metadata": ((1, 1),)}, ("wrong_type", "not_msgpack")),
    "no tokenizer": ({"tokenizer": ""}, ("wrong_type",)),
    "no logprobs": ({"logprobs": None}, ("wrong_type",)),
    "short hash": ({"tokenizer": "0f"}, ("wrong_type",)),
    "capital hash": ({"tokenizer": "0F" * 32}, ("wrong_type",)),
    "hash as number": ({"tokenizer": 5}, ("wrong_type",)),
    "one row": ({"logprobs": ((-1.0,),)}, ("ragged",)),
    "empty row": ({"logprobs": ((), (-1.0,))}, ("out_of_range",)),
    "positive": ({"logprobs": ((0.5,), (-1.0,))}, ("out_of_range",)),
    "very small": ({"logprobs": ((-2e4,), (-1.0,))}, ("out_of_range",)),
    "not a number": ({"logprobs": ((math.nan,), (-1.0,))}, ("out_of_range",)),
    "4097 tokens": ({"logprobs": ((-1.0,) * 4097, (-1.0,))}, ("out_of_range", "too_large")),
}


@pytest.mark.parametrize(("changes", "reasons"), OUTSIDE.values(), ids=OUTSIDE.keys())
def test_bounds_hold_both_ways(changes: dict[str, Any], reasons: tuple[str, ...]) -> None:
    assert reason_of(rich(**changes).encode) in reasons
    wire = dict(changes)
    if "metadata" in wire:
        wire["metadata"] = dict(wire["metadata"])
    if wire.get("logprobs"):
        wire["logprobs"] = [struct.pack(f"<{len(row)}f", *row) for row in wire["logprobs"]]
    assert reason_of(lambda: RolloutGroup.decode(fields(**wire))) in reasons


@pytest.mark.parametrize(
    "changes",
    [{"metadata": []}, {"metadata": None}, {"logprobs": "xx"}, {"logprobs": ["xx", "yy"]}, {"logprobs": [b"123", b""]}],
)
def test_wrong_types(changes: dict[str, Any]) -> None:
    assert reason_of(lambda: RolloutGroup.decode(fields(**changes))) in ("wrong_type", "too_large")


def _large(tokens: int) -> RolloutGroup:
    return rich(logprobs=((-1.0,) * tokens,) * 64, completions=("c" * 5000,) * 64, rewards=(0.0,) * 64)


def test_a_batch_of_version_2_may_be_larger() -> None:
    large = _large(2000)
    assert 4 * 262144 > len(large.encode()) > 262144
    kept = records.fitting([large] * 9)
    batch = GroupBatch(1, 0.0, kept)
    assert 1048576 < len(batch.encode()) <= 4194304
    assert GroupBatch.decode(batch.encode()) == batch
    plain = batch.plain()
    assert not plain.groups  # each of them is too large for version 1
    assert len(large.digest()) == 64


def test_fitting_shrinks_to_version_1_when_no_extras_are_left() -> None:
    plain = dataclasses.replace(PLAIN, completions=("c" * 16_000,) * 16, rewards=(0.0,) * 16)
    invalid = rich(tokenizer="x")
    kept = records.fitting([invalid, *[plain] * 6])
    assert len(kept) == 4
    assert GroupBatch(1, 0.0, kept).encode()
