"""Wire records: what crosses the swarm, typed, bounded and versioned; encode and decode beside the class.

Format: msgpack maps with string keys in a fixed order. Decoding is strict: only the canonical encoding of a valid
record is accepted, so a group has one digest whoever computes it. A peer's bytes can cost at most the limits below.
Golden bytes: tests/interfaces/test_records_golden.py.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgpack

from swarm_core.errors import RecordError

VERSION = 1
MAX_QUESTION_BYTES = 16 * 1024
MAX_ANSWER_BYTES = 4 * 1024
MAX_TASK_CHARS = 64
MAX_COMPLETION_BYTES = 16 * 1024
MIN_COMPLETIONS, MAX_COMPLETIONS = 2, 64
MAX_REWARD = 1000.0
MAX_GROUP_BYTES = 256 * 1024
MAX_GROUPS = 64
MAX_BATCH_BYTES = 1024 * 1024
MAX_ROUND = 2**53

_BATCH_OVERHEAD, _BLOB_OVERHEAD = 256, 5  # msgpack around the groups, and around each

_GROUP_KEYS = ("v", "task", "seed", "question", "answer", "completions", "rewards")
_BATCH_KEYS = ("v", "round", "published_at", "groups")


@dataclass(frozen=True)
class RolloutGroup:
    """All completions that one policy gave to one question, with the sender's own rewards.

    (`task`, `seed`) lets the receiver make the question itself; `rewards` are a claim, never used unchecked.
    """

    task: str
    seed: int
    question: str
    answer: str
    completions: tuple[str, ...]
    rewards: tuple[float, ...]

    def encode(self) -> bytes:
        """Canonical bytes. Raises RecordError when a bound is broken."""
        _check_group(self)
        values = (VERSION, self.task, self.seed, self.question, self.answer, self.completions, self.rewards)
        data: bytes = msgpack.packb(dict(zip(_GROUP_KEYS, values, strict=True)))
        if len(data) > MAX_GROUP_BYTES:
            raise RecordError("too_large", f"group of {len(data)} bytes")
        return data

    @classmethod
    def decode(cls, data: bytes) -> RolloutGroup:
        """The group in `data`. Raises RecordError with a reason for anything but a canonical, valid group."""
        fields = _unpack(data, _GROUP_KEYS, MAX_GROUP_BYTES, max_array=MAX_COMPLETIONS)
        completions, rewards = fields["completions"], fields["rewards"]
        if not isinstance(completions, list) or not isinstance(rewards, list):
            raise RecordError("wrong_type", "completions and rewards must be lists")
        group = cls(
            fields["task"], fields["seed"], fields["question"], fields["answer"], tuple(completions), tuple(rewards)
        )
        if group.encode() != data:
            raise RecordError("not_canonical")
        return group

    def digest(self) -> str:
        """SHA-256 of the canonical bytes, hex."""
        return hashlib.sha256(self.encode()).hexdigest()


@dataclass(frozen=True)
class GroupBatch:
    """What a peer publishes in one round: `groups` of `round`, `published_at` in Unix seconds of the sender."""

    round: int
    published_at: float
    groups: tuple[RolloutGroup, ...]

    def encode(self) -> bytes:
        """Canonical bytes. Raises RecordError when a bound is broken."""
        _check_round(self.round)
        _check_float(self.published_at, "published_at", 2.0**40)
        if len(self.groups) > MAX_GROUPS:
            raise RecordError("too_many_groups", str(len(self.groups)))
        blobs = [group.encode() for group in self.groups]
        values = (VERSION, self.round, self.published_at, blobs)
        data: bytes = msgpack.packb(dict(zip(_BATCH_KEYS, values, strict=True)))
        if len(data) > MAX_BATCH_BYTES:
            raise RecordError("too_large", f"batch of {len(data)} bytes")
        return data

    @classmethod
    def decode(cls, data: bytes) -> GroupBatch:
        """The batch in `data`. Raises RecordError with a reason for anything but a canonical, valid batch."""
        fields = _unpack(data, _BATCH_KEYS, MAX_BATCH_BYTES, max_array=MAX_GROUPS)
        blobs = fields["groups"]
        if not isinstance(blobs, list) or not all(isinstance(blob, bytes) for blob in blobs):
            raise RecordError("wrong_type", "groups must be a list of bytes")
        batch = cls(fields["round"], fields["published_at"], tuple(RolloutGroup.decode(blob) for blob in blobs))
        if batch.encode() != data:
            raise RecordError("not_canonical")
        return batch


def fitting(groups: Iterable[RolloutGroup]) -> tuple[RolloutGroup, ...]:
    """As many of `groups`, in their order, as are valid and fit into one batch."""
    kept: list[RolloutGroup] = []
    room = MAX_BATCH_BYTES - _BATCH_OVERHEAD
    for group in groups:
        try:
            size = len(group.encode()) + _BLOB_OVERHEAD
        except RecordError:
            continue
        if size <= room and len(kept) < MAX_GROUPS:
            kept.append(group)
            room -= size
    return tuple(kept)


def _unpack(data: bytes, keys: tuple[str, ...], max_bytes: int, max_array: int) -> dict[str, Any]:
    if len(data) > max_bytes:
        raise RecordError("too_large", f"{len(data)} bytes")
    try:
        # the limits hold before anything is allocated; no extension types, so nothing is constructed from a tag
        value = msgpack.unpackb(
            data,
            max_str_len=MAX_COMPLETION_BYTES,
            max_bin_len=MAX_GROUP_BYTES,
            max_array_len=max_array,
            max_map_len=len(keys),
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise RecordError("not_msgpack", type(error).__name__) from error
    if not isinstance(value, dict) or tuple(value) != keys:
        raise RecordError("wrong_fields")
    version = value["v"]
    if version != VERSION:
        # repr of whatever a peer nests there could itself run out of stack
        raise RecordError("wrong_version", str(version) if isinstance(version, int) else type(version).__name__)
    return value


def _check_group(group: RolloutGroup) -> None:
    _check_text(group.task, "task", MAX_TASK_CHARS)
    if not group.task:
        raise RecordError("empty", "task")
    if type(group.seed) is not int or not 0 <= group.seed < 2**63:
        raise RecordError("wrong_type", "seed")
    _check_text(group.question, "question", MAX_QUESTION_BYTES)
    _check_text(group.answer, "answer", MAX_ANSWER_BYTES)
    if not MIN_COMPLETIONS <= len(group.completions) <= MAX_COMPLETIONS:
        raise RecordError("wrong_group_size", str(len(group.completions)))
    if len(group.rewards) != len(group.completions):
        raise RecordError("ragged", "as many rewards as completions")
    for completion in group.completions:
        _check_text(completion, "completion", MAX_COMPLETION_BYTES)
    for reward in group.rewards:
        _check_float(reward, "reward", MAX_REWARD)


def _check_text(value: object, name: str, max_bytes: int) -> None:
    if not isinstance(value, str):
        raise RecordError("wrong_type", name)
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise RecordError("not_utf8", name) from error
    if size > max_bytes:
        raise RecordError("too_large", name)


def _check_float(value: object, name: str, bound: float) -> None:
    if type(value) is not float:
        raise RecordError("wrong_type", name)
    if not math.isfinite(value) or abs(value) > bound:
        raise RecordError("out_of_range", name)


def _check_round(value: object) -> None:
    if type(value) is not int or not 0 <= value <= MAX_ROUND:
        raise RecordError("out_of_range", "round")
