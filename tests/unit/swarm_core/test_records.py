"""Wire records: every bound from both sides, canonical bytes only, and nothing but RecordError from hostile bytes."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_core import records
from swarm_core.errors import RecordError
from swarm_core.records import GroupBatch, RolloutGroup

GROUP = RolloutGroup("chain_sum", 7, "1 + 1?", "2", ("2", "3"), (1.0, 0.0))
BATCH = GroupBatch(3, 1_700_000_000.5, (GROUP,))

texts = st.text(st.characters(codec="utf-8"), max_size=30)
rewards = st.floats(-1000, 1000)
groups = st.integers(2, 6).flatmap(
    lambda size: st.builds(
        RolloutGroup,
        task=st.text("abcxyz_", min_size=1, max_size=20),
        seed=st.integers(0, 2**63 - 1),
        question=texts,
        answer=texts,
        completions=st.lists(texts, min_size=size, max_size=size).map(tuple),
        rewards=st.lists(rewards, min_size=size, max_size=size).map(tuple),
    )
)
batches = st.builds(GroupBatch, st.integers(0, 2**53), st.floats(0, 2.0**40), st.lists(groups, max_size=4).map(tuple))


def reason_of(call: Callable[[], object]) -> str:
    with pytest.raises(RecordError) as caught:
        call()
    return caught.value.reason


def group_with(**changes: Any) -> RolloutGroup:
    return dataclasses.replace(GROUP, **changes)


def group_map(**changes: Any) -> dict[str, Any]:
    return {
        "v": 1, "task": "chain_sum", "seed": 7, "question": "1 + 1?", "answer": "2",
        "completions": ["2", "3"], "rewards": [1.0, 0.0], **changes,
    }  # fmt: skip


def batch_map(**changes: Any) -> dict[str, Any]:
    return {"v": 1, "round": 3, "published_at": 1_700_000_000.5, "groups": [GROUP.encode()], **changes}


def decode_group(**changes: Any) -> RolloutGroup:
    return RolloutGroup.decode(msgpack.packb(group_map(**changes)))


def decode_batch(**changes: Any) -> GroupBatch:
    return GroupBatch.decode(msgpack.packb(batch_map(**changes)))


def test_limits_are_those_of_the_protocol() -> None:
    # a peer of another release refuses what these allow; changing one is a new wire version
    assert (records.VERSION, records.MAX_TASK_CHARS, records.MAX_QUESTION_BYTES) == (2, 64, 16384)
    assert (records.MAX_ANSWER_BYTES, records.MAX_COMPLETION_BYTES) == (4096, 16384)
    assert (records.MIN_COMPLETIONS, records.MAX_COMPLETIONS, records.MAX_REWARD) == (2, 64, 1000.0)
    assert (records.MAX_PLAIN_GROUP_BYTES, records.MAX_GROUPS) == (262144, 64)
    assert (records.MAX_PLAIN_BATCH_BYTES, records.MAX_ROUND) == (1048576, 2**53)
    assert (records.MAX_GROUP_BYTES, records.MAX_BATCH_BYTES, records.MAX_TOKENS) == (1048576, 4194304, 4096)
    assert (records.MAX_METADATA, records.MAX_METADATA_KEY_CHARS, records.MAX_METADATA_BYTES) == (16, 32, 256)
    assert (records.MIN_LOGPROB, records.MAX_LOGPROB) == (-1e4, 1e-3)


@given(groups)
def test_group_round_trip(group: RolloutGroup) -> None:
    assert RolloutGroup.decode(group.encode()) == group


@given(batches)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_batch_round_trip(batch: GroupBatch) -> None:
    assert GroupBatch.decode(batch.encode()) == batch


def test_group_bytes_are_the_ordered_map() -> None:
    assert GROUP.encode() == msgpack.packb(group_map())
    assert BATCH.encode() == msgpack.packb(batch_map())


def test_records_are_values() -> None:
    assert hash(GROUP) == hash(group_with())
    for record, field in ((GROUP, "seed"), (BATCH, "round")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, field, 1)


def test_digest_is_the_sha256_of_the_bytes() -> None:
    assert GROUP.digest() == hashlib.sha256(GROUP.encode()).hexdigest()
    assert group_with(seed=8).digest() != GROUP.digest()


INSIDE = {
    "task of 64 bytes": {"task": "t" * 64},
    "seed 0": {"seed": 0},
    "largest seed": {"seed": 2**63 - 1},
    "longest question": {"question": "q" * 16384},
    "empty question and answer": {"question": "", "answer": ""},
    "longest answer": {"answer": "a" * 4096},
    "longest completion": {"completions": ("c" * 16384, "")},
    "two-byte characters at the limit": {"question": "é" * 8192},
    "64 completions": {"completions": ("x",) * 64, "rewards": (0.0,) * 64},
    "largest rewards": {"rewards": (1000.0, -1000.0)},
}
OUTSIDE = {
    "no task": ({"task": ""}, "empty"),
    "task of 65 bytes": ({"task": "t" * 65}, "too_large"),
    "task of 33 two-byte characters": ({"task": "é" * 33}, "too_large"),
    "negative seed": ({"seed": -1}, "wrong_type"),
    "seed of 64 bits": ({"seed": 2**63}, "wrong_type"),
    "seed as bool": ({"seed": True}, "wrong_type"),
    "seed as float": ({"seed": 7.0}, "wrong_type"),
    "seed as text": ({"seed": "7"}, "wrong_type"),
    "seed nil": ({"seed": None}, "wrong_type"),
    "task as number": ({"task": 1}, "wrong_type"),
    "task as bytes": ({"task": b"chain_sum"}, "wrong_type"),
    "question as list": ({"question": []}, "wrong_type"),
    "answer nil": ({"answer": None}, "wrong_type"),
    "answer one byte too long": ({"answer": "a" * 4097}, "too_large"),
    "one completion": ({"completions": ("x",), "rewards": (0.0,)}, "wrong_group_size"),
    "no completion": ({"completions": (), "rewards": ()}, "wrong_group_size"),
    "fewer rewards": ({"rewards": (1.0,)}, "ragged"),
    "more rewards": ({"rewards": (1.0, 0.0, 0.0)}, "ragged"),
    "completion as bytes": ({"completions": (b"2", "3")}, "wrong_type"),
    "completion nil": ({"completions": ("2", None)}, "wrong_type"),
    "reward as int": ({"rewards": (1, 0.0)}, "wrong_type"),
    "reward as bool": ({"rewards": (1.0, False)}, "wrong_type"),
    "reward as text": ({"rewards": (1.0, "0")}, "wrong_type"),
    "reward too large": ({"rewards": (math.nextafter(1000.0, 2000), 0.0)}, "out_of_range"),
    "reward too small": ({"rewards": (0.0, math.nextafter(-1000.0, -2000))}, "out_of_range"),
    "reward nan": ({"rewards": (math.nan, 0.0)}, "out_of_range"),
    "reward inf": ({"rewards": (0.0, math.inf)}, "out_of_range"),
    "reward -inf": ({"rewards": (0.0, -math.inf)}, "out_of_range"),
}


@pytest.mark.parametrize("changes", INSIDE.values(), ids=INSIDE.keys())
def test_group_just_inside_a_bound(changes: dict[str, Any]) -> None:
    group = group_with(**changes)
    assert RolloutGroup.decode(group.encode()) == group


@pytest.mark.parametrize(("changes", "reason"), OUTSIDE.values(), ids=OUTSIDE.keys())
def test_group_just_outside_a_bound(changes: dict[str, Any], reason: str) -> None:
    assert reason_of(group_with(**changes).encode) == reason
    assert reason_of(lambda: decode_group(**changes)) == reason


def test_text_too_long_is_refused_on_both_ways() -> None:
    # the unpacker's own limit is the largest text of all, so here the two directions name it differently
    for changes in ({"question": "q" * 16385}, {"completions": ("c" * 16385, "")}, {"question": "é" * 8193}):
        assert reason_of(group_with(**changes).encode) == "too_large"
        assert reason_of(lambda changes=changes: decode_group(**changes)) == "not_msgpack"


def test_65_completions() -> None:
    many = {"completions": ("x",) * 65, "rewards": (0.0,) * 65}
    assert reason_of(group_with(**many).encode) == "wrong_group_size"
    assert reason_of(lambda: decode_group(**many)) == "not_msgpack"


def test_lone_surrogate_is_not_utf8() -> None:
    assert reason_of(group_with(question="\ud800").encode) == "not_utf8"
    assert reason_of(lambda: RolloutGroup.decode(GROUP.encode().replace(b"1 + 1?", b"\xff\xfe + 1"))) == "not_msgpack"


def sized_group(size: int) -> RolloutGroup:
    """A group whose encoding has exactly `size` bytes (20 000 or more)."""
    count = size // 15_000 + 1
    smallest = group_with(completions=("c" * 300,) * count, rewards=(0.0,) * count)  # 300: the header stays 3 bytes
    missing, each = size - len(smallest.encode()), 15_000
    completions = []
    for _ in range(count):
        completions.append("c" * (300 + min(missing, each)))
        missing -= min(missing, each)
    return dataclasses.replace(smallest, completions=tuple(completions))


def unchecked_bytes(group: RolloutGroup, size: int) -> bytes:
    """The bytes of version 1 of `group`, its question made longer to `size` bytes."""
    fields = dataclasses.asdict(group)
    plain = {"v": 1, **{name: fields[name] for name in list(group_map())[1:]}}
    plain["question"] += "q" * (size - len(msgpack.packb(plain)))
    return bytes(msgpack.packb(plain))


def test_group_of_exactly_the_largest_size() -> None:
    largest = sized_group(262144)
    data = largest.encode()
    assert len(data) == 262144
    assert RolloutGroup.decode(data) == largest
    assert reason_of(sized_group(262145).encode) == "too_large"
    assert reason_of(lambda: RolloutGroup.decode(unchecked_bytes(sized_group(262144), 262145))) == "too_large"
    assert reason_of(lambda: RolloutGroup.decode(b"\x00" * 1048577)) == "too_large"
    assert reason_of(lambda: RolloutGroup.decode(b"\x00" * 1048576)) == "not_msgpack"


def sized_batch(size: int) -> GroupBatch:
    blocks = [sized_group(250_000) for _ in range(4)]
    left = size - len(GroupBatch(3, 0.0, tuple(blocks)).encode())
    return GroupBatch(3, 0.0, (*blocks, sized_group(left - 3)))  # 3 bytes: the header of one more binary


def test_batch_of_exactly_the_largest_size() -> None:
    largest = sized_batch(1048576)
    data = largest.encode()
    assert len(data) == 1048576
    assert GroupBatch.decode(data) == largest
    assert reason_of(sized_batch(1048577).encode) == "too_large"
    too_large = msgpack.packb(batch_map(groups=[group.encode() for group in sized_batch(1048577).groups]))
    assert reason_of(lambda: GroupBatch.decode(too_large)) == "too_large"
    assert reason_of(lambda: GroupBatch.decode(b"\x00" * 4194305)) == "too_large"
    assert reason_of(lambda: GroupBatch.decode(b"\x00" * 4194304)) == "not_msgpack"


BATCH_OUTSIDE = {
    "negative round": ({"round": -1}, "out_of_range"),
    "round too large": ({"round": 2**53 + 1}, "out_of_range"),
    "round as bool": ({"round": True}, "out_of_range"),
    "round as float": ({"round": 3.0}, "out_of_range"),
    "round as text": ({"round": "3"}, "out_of_range"),
    "time as int": ({"published_at": 1_700_000_000}, "wrong_type"),
    "time nil": ({"published_at": None}, "wrong_type"),
    "time nan": ({"published_at": math.nan}, "out_of_range"),
    "time inf": ({"published_at": math.inf}, "out_of_range"),
    "time too large": ({"published_at": math.nextafter(2.0**40, 2.0**41)}, "out_of_range"),
    "time too small": ({"published_at": math.nextafter(-(2.0**40), -(2.0**41))}, "out_of_range"),
}


@pytest.mark.parametrize(("changes", "reason"), BATCH_OUTSIDE.values(), ids=BATCH_OUTSIDE.keys())
def test_batch_just_outside_a_bound(changes: dict[str, Any], reason: str) -> None:
    assert reason_of(dataclasses.replace(BATCH, **changes).encode) == reason
    assert reason_of(lambda: decode_batch(**changes)) == reason


@pytest.mark.parametrize("changes", [{"round": 0}, {"round": 2**53}, {"published_at": 2.0**40}, {"groups": ()}])
def test_batch_just_inside_a_bound(changes: dict[str, Any]) -> None:
    batch = dataclasses.replace(BATCH, **changes)
    assert GroupBatch.decode(batch.encode()) == batch


def test_number_of_groups() -> None:
    full = GroupBatch(1, 0.0, (GROUP,) * 64)
    assert len(GroupBatch.decode(full.encode()).groups) == 64
    assert reason_of(GroupBatch(1, 0.0, (GROUP,) * 65).encode) == "too_many_groups"
    assert reason_of(lambda: decode_batch(groups=[GROUP.encode()] * 65)) == "not_msgpack"


@pytest.mark.parametrize("value", [None, "text", 1, {"a": 1}, ["text"], [None], [GROUP.encode(), 1], b"bytes"])
def test_groups_must_be_a_list_of_bytes(value: Any) -> None:
    assert reason_of(lambda: decode_batch(groups=value)) == "wrong_type"


@pytest.mark.parametrize("name", ["completions", "rewards"])
@pytest.mark.parametrize("value", [None, "ab", 2, {"a": 1}, b"ab"])
def test_lists_of_a_group_must_be_lists(name: str, value: Any) -> None:
    assert reason_of(lambda: decode_group(**{name: value})) == "wrong_type"


def test_one_bad_group_spoils_the_batch() -> None:
    bad = msgpack.packb(group_map(seed=-1))
    assert reason_of(lambda: decode_batch(groups=[GROUP.encode(), bad])) == "wrong_type"


@pytest.mark.parametrize("version", [0, 3, -1, "1", None, [1], "x" * 1000])
def test_another_version(version: Any) -> None:
    for decode in (decode_group, decode_batch):
        with pytest.raises(RecordError, match="wrong_version") as caught:
            decode(v=version)
        assert len(str(caught.value)) < 60  # no peer writes long lines into our log


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"round": -1}, "out_of_range: round"),
        ({"published_at": 1}, "wrong_type: published_at"),
        ({"published_at": math.inf}, "out_of_range: published_at"),
        ({"groups": (GROUP,) * 65}, "too_many_groups: 65"),
        ({"groups": (sized_group(262144),) * 4}, "too_large: batch of 1048637 bytes"),
        ({"groups": (dataclasses.replace(GROUP, seed=-1),)}, "wrong_type: seed"),
    ],
)
def test_the_message_names_the_field_of_a_batch(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError) as caught:
        dataclasses.replace(BATCH, **changes).encode()
    assert str(caught.value) == words


def test_the_message_tells_the_size() -> None:
    with pytest.raises(RecordError, match=r"^too_large: group of 262145 bytes$"):
        sized_group(262145).encode()
    with pytest.raises(RecordError, match=r"^too_large: 262145 bytes$"):
        RolloutGroup.decode(unchecked_bytes(sized_group(262144), 262145))
    with pytest.raises(RecordError, match=r"^wrong_type: completions and rewards must be lists$"):
        decode_group(rewards=None)
    with pytest.raises(RecordError, match=r"^wrong_type: groups must be a list of bytes$"):
        decode_batch(groups=None)


def test_the_message_shows_another_version() -> None:
    for decode in (decode_group, decode_batch):
        with pytest.raises(RecordError, match=r"^wrong_version: 3$"):
            decode(v=3)
        with pytest.raises(RecordError, match=r"^wrong_version: list$"):
            decode(v=[2])


@pytest.mark.parametrize("version", [True, 1.0])
def test_a_version_that_only_equals_one_is_not_canonical(version: Any) -> None:
    assert reason_of(lambda: decode_group(v=version)) == "not_canonical"
    assert reason_of(lambda: decode_batch(v=version)) == "not_canonical"


def test_key_order_missing_and_extra_keys() -> None:
    for full, decode in ((group_map(), RolloutGroup.decode), (batch_map(), GroupBatch.decode)):
        turned = dict(reversed(full.items()))
        missing = dict(list(full.items())[:-1])
        renamed = {**missing, "other": 1}
        for wrong in (turned, missing, renamed, {}, [], 1, None, "text"):
            assert reason_of(lambda wrong=wrong, decode=decode: decode(msgpack.packb(wrong))) == "wrong_fields"
        extra = msgpack.packb({**full, "extra": 1})
        assert reason_of(lambda extra=extra, decode=decode: decode(extra)) in ("wrong_fields", "not_msgpack")


def test_longer_spellings_of_the_same_value_are_refused() -> None:
    data = GROUP.encode()
    seed_as_uint8 = data.replace(b"\xa4seed\x07", b"\xa4seed\xcc\x07")
    text_as_str8 = data.replace(b"\xa61 + 1?", b"\xd9\x061 + 1?")
    rewards_as_float32 = data.replace(msgpack.packb(1.0), msgpack.packb(1.0, use_single_float=True))
    for spelling in (seed_as_uint8, text_as_str8, rewards_as_float32):
        assert spelling != data
        assert reason_of(lambda spelling=spelling: RolloutGroup.decode(spelling)) == "not_canonical"
    batch = BATCH.encode().replace(b"\xa5round\x03", b"\xa5round\xcc\x03")
    assert reason_of(lambda: GroupBatch.decode(batch)) == "not_canonical"


def test_bytes_after_the_end_and_duplicate_keys() -> None:
    assert reason_of(lambda: RolloutGroup.decode(GROUP.encode() + b"\x00")) == "not_msgpack"
    assert reason_of(lambda: RolloutGroup.decode(b"")) == "not_msgpack"
    twice = b"\x87" + b"".join(msgpack.packb(k) + msgpack.packb(v) for k, v in list(group_map().items())[:6])
    assert reason_of(lambda: RolloutGroup.decode(twice + msgpack.packb("v") + b"\x01")) == "wrong_fields"


def test_extension_types_construct_nothing() -> None:
    timestamp = msgpack.packb(msgpack.Timestamp(1, 1))
    for value in (timestamp, msgpack.packb(msgpack.ExtType(0, b"12345678")), b"\xd4\x05\x00"):
        data = GROUP.encode().replace(b"\xa4seed\x07", b"\xa4seed" + value)
        assert reason_of(lambda data=data: RolloutGroup.decode(data)) in ("not_msgpack", "wrong_type")
    assert reason_of(lambda: decode_group(seed=msgpack.ExtType(5, b"1" * 100))) == "not_msgpack"


def test_deep_nesting() -> None:
    for opening in (b"\x91", b"\x81\xa1a"):
        data = opening * 80_000
        assert reason_of(lambda data=data: RolloutGroup.decode(data)) == "not_msgpack"
    for name in group_map():
        # as deep as the unpacker allows: nothing that looks at the value afterwards may run out of stack
        parts = [msgpack.packb(k) + (b"\x91" * 1020 + b"\x00" if k == name else msgpack.packb(v))
                 for k, v in group_map().items()]  # fmt: skip
        data = b"\x87" + b"".join(parts)
        assert reason_of(lambda data=data: RolloutGroup.decode(data)) in ("wrong_type", "wrong_version", "ragged",
                                                                          "wrong_group_size")  # fmt: skip


@pytest.mark.parametrize("reason_only", [True, False])
def test_errors_have_a_short_reason_and_a_detail(reason_only: bool) -> None:
    error = RecordError("why") if reason_only else RecordError("why", "detail")
    assert (error.reason, str(error)) == ("why", "why" if reason_only else "why: detail")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": ""}, "empty: task"),
        ({"seed": -1}, "wrong_type: seed"),
        ({"question": 1}, "wrong_type: question"),
        ({"answer": "a" * 5000}, "too_large: answer"),
        ({"completions": ("2", 3)}, "wrong_type: completion"),
        ({"completions": ("2",) * 70}, "wrong_group_size: 70"),
        ({"rewards": (1.0,)}, "ragged: as many rewards as completions"),
        ({"rewards": (1.0, math.inf)}, "out_of_range: reward"),
        ({"rewards": (1.0, 1)}, "wrong_type: reward"),
        ({"question": "\ud800"}, "not_utf8: question"),
    ],
)
def test_the_message_names_the_field(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecordError) as caught:
        group_with(**changes).encode()
    assert str(caught.value) == words


@given(st.binary(max_size=400))
def test_random_bytes_raise_only_record_error(data: bytes) -> None:
    for decode in (RolloutGroup.decode, GroupBatch.decode):
        with pytest.raises(RecordError):
            decode(data)


@given(st.data())
def test_mutated_bytes_are_refused_or_canonical(data: st.DataObject) -> None:
    raw = bytearray(BATCH.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(raw) - 1))
        kind = data.draw(st.sampled_from(("flip", "insert", "delete", "cut")))
        if kind == "flip":
            raw[position] = data.draw(st.integers(0, 255))
        elif kind == "insert":
            raw.insert(position, data.draw(st.integers(0, 255)))
        elif kind == "delete" and len(raw) > 1:
            del raw[position]
        elif len(raw) > 1:
            del raw[max(position, 1) :]
    try:
        batch = GroupBatch.decode(bytes(raw))
    except RecordError:
        return
    assert batch.encode() == bytes(raw)


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(sorted(group_map())), json_like)
def test_any_value_in_any_field_of_a_group(name: str, value: Any) -> None:
    data = msgpack.packb(group_map(**{name: value}))
    try:
        group = RolloutGroup.decode(data)
    except RecordError:
        return
    assert group.encode() == data


@given(st.sampled_from(sorted(batch_map())), json_like)
def test_any_value_in_any_field_of_a_batch(name: str, value: Any) -> None:
    data = msgpack.packb(batch_map(**{name: value}))
    try:
        batch = GroupBatch.decode(data)
    except RecordError:
        return
    assert batch.encode() == data


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff",  # an array that claims 4 G elements
        b"\xdf\xff\xff\xff\xff",  # a map
        b"\xdb\xff\xff\xff\xff",  # a text of 4 GB
        b"\xc6\xff\xff\xff\xff",  # bytes
        b"\xc9\xff\xff\xff\xff\x05",  # an extension
        b"\x91" * 1000,
        (b"\x9f" + b"\x90" * 14) * 1000,
    ],
)
def test_a_claimed_size_costs_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        reason_of(lambda: GroupBatch.decode(data))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


def test_fitting_keeps_what_fits_in_order() -> None:
    assert records.fitting([]) == ()
    assert records.fitting([GROUP, group_with(seed=8)]) == (GROUP, group_with(seed=8))
    assert records.fitting(iter([GROUP] * 65)) == (GROUP,) * 64
    assert records.fitting([group_with(seed=-1), GROUP, group_with(task="")]) == (GROUP,)


def test_fitting_passes_over_what_is_too_large_and_takes_what_still_fits() -> None:
    large = sized_group(260_000)
    kept = records.fitting([large] * 5 + [GROUP])
    assert kept == (*[large] * 4, GROUP)
    assert GroupBatch(2**53, 2.0**40, kept).encode()


def test_fitting_at_the_very_edge() -> None:
    just = [sized_group(262_075)] * 4  # 4 × (262 075 + 5) and 256 bytes around them are the limit
    assert len(records.fitting(just)) == 4
    assert len(records.fitting([*just[:3], sized_group(262_076)])) == 3
    assert len(GroupBatch(2**53, 2.0**40, tuple(just)).encode()) <= records.MAX_BATCH_BYTES
