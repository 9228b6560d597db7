"""Wire records: what crosses the swarm, typed, bounded and versioned; encode and decode beside the class.

Format: msgpack maps with string keys in a fixed order. Decoding is strict: only the canonical encoding of a valid
record is accepted, so a group has one digest whoever computes it. A peer's bytes can cost at most the limits below.

Version 2 adds what the sender's sampling was like (metadata, log-probabilities, the tokenizer's hash) and larger
batches. A record is written in the lowest version that holds it, so one without these is still version 1, and
`plain()` is what a peer of version 1 gets. Golden bytes: tests/interfaces/test_records_golden.py.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgpack

from swarm_core.errors import RecordError

VERSION = 2  # the newest one; version 1 is read and written too
MAX_QUESTION_BYTES = 16 * 1024
MAX_ANSWER_BYTES = 4 * 1024
MAX_TASK_CHARS = 64
MAX_COMPLETION_BYTES = 16 * 1024
MIN_COMPLETIONS, MAX_COMPLETIONS = 2, 64
MAX_TOKENS = 4096  # log-probabilities of one completion
MIN_LOGPROB, MAX_LOGPROB = -1e4, 1e-3  # rounding may lift a certain token's a little over 0
MAX_METADATA = 16
MAX_METADATA_KEY_CHARS = 32
MAX_METADATA_BYTES = 256
MAX_REWARD = 1000.0
MAX_GROUP_BYTES = 1024 * 1024
MAX_GROUPS = 64
MAX_BATCH_BYTES = 4 * 1024 * 1024
MAX_PLAIN_GROUP_BYTES = 256 * 1024  # the same bounds of version 1
MAX_PLAIN_BATCH_BYTES = 1024 * 1024
MAX_ROUND = 2**53

_BATCH_OVERHEAD, _BLOB_OVERHEAD = 256, 5  # msgpack around the groups, and around each

_PLAIN_GROUP_KEYS = ("v", "task", "seed", "question", "answer", "completions", "rewards")
_GROUP_KEYS = (*_PLAIN_GROUP_KEYS, "metadata", "logprobs", "tokenizer")
_BATCH_KEYS = ("v", "round", "published_at", "groups")
_GROUP_VERSIONS = {1: (_PLAIN_GROUP_KEYS, MAX_PLAIN_GROUP_BYTES), 2: (_GROUP_KEYS, MAX_GROUP_BYTES)}
_BATCH_VERSIONS = {1: (_BATCH_KEYS, MAX_PLAIN_BATCH_BYTES), 2: (_BATCH_KEYS, MAX_BATCH_BYTES)}
_TOKENIZER = re.compile("[0-9a-f]{64}")

Scalar = str | int | float | bool


@dataclass(frozen=True)
class RolloutGroup:
    """All completions that one policy gave to one question, with the sender's own rewards.

    (`task`, `seed`) lets the receiver make the question itself; `rewards` are a claim, never used unchecked.
    `metadata` are pairs sorted by key. `logprobs` has the log-probability (nats, float32) of each sampled token of
    each completion, its end token included, under the tokenizer whose SHA-256 is `tokenizer`; both or neither.
    """

    task: str
    seed: int
    question: str
    answer: str
    completions: tuple[str, ...]
    rewards: tuple[float, ...]
    metadata: tuple[tuple[str, Scalar], ...] = ()
    logprobs: tuple[tuple[float, ...], ...] | None = None
    tokenizer: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether version 1 holds all of it."""
        return not self.metadata and self.logprobs is None and not self.tokenizer

    def plain(self) -> RolloutGroup:
        """What version 1 holds of it."""
        return self if self.is_plain else replace(self, metadata=(), logprobs=None, tokenizer="")

    def encode(self) -> bytes:
        """Canonical bytes. Raises RecordError when a bound is broken."""
        _check_group(self)
        version = 1 if self.is_plain else 2
        keys, limit = _GROUP_VERSIONS[version]
        values = [version, self.task, self.seed, self.question, self.answer, self.completions, self.rewards]
        if version == 2:
            packed = None if self.logprobs is None else [_pack_floats(row) for row in self.logprobs]
            values += [dict(self.metadata), packed, self.tokenizer]
        data: bytes = msgpack.packb(dict(zip(keys, values, strict=True)))
        if len(data) > limit:
            raise RecordError("too_large", f"group of {len(data)} bytes")
        return data

    @classmethod
    def decode(cls, data: bytes) -> RolloutGroup:
        """The group in `data`. Raises RecordError with a reason for anything but a canonical, valid group."""
        fields = _unpack(data, _GROUP_VERSIONS, max_array=MAX_COMPLETIONS, max_map=MAX_METADATA)
        completions, rewards = fields["completions"], fields["rewards"]
        if not isinstance(completions, list) or not isinstance(rewards, list):
            raise RecordError("wrong_type", "completions and rewards must be lists")
        group = cls(
            fields["task"],
            fields["seed"],
            fields["question"],
            fields["answer"],
            tuple(completions),
            tuple(rewards),
            _pairs(fields.get("metadata", {})),
            _rows(fields.get("logprobs")),
            fields.get("tokenizer", ""),
        )
        if group.encode() != data:
            raise RecordError("not_canonical")
        return group

    def digest(self) -> str:
        """SHA-256 of the bytes of `plain()`, hex: one digest for peers of every version, whatever the extras say."""
        _check_group(self)
        values = (1, self.task, self.seed, self.question, self.answer, self.completions, self.rewards)
        return hashlib.sha256(msgpack.packb(dict(zip(_PLAIN_GROUP_KEYS, values, strict=True)))).hexdigest()


@dataclass(frozen=True)
class GroupBatch:
    """What a peer publishes in one round: `groups` of `round`, `published_at` in Unix seconds of the sender."""

    round: int
    published_at: float
    groups: tuple[RolloutGroup, ...]

    def plain(self) -> GroupBatch:
        """What a peer of version 1 gets: as many of the groups, without their extras, as fit."""
        return replace(self, groups=fitting(group.plain() for group in self.groups))

    def encode(self) -> bytes:
        """Canonical bytes. Raises RecordError when a bound is broken."""
        if len(self.groups) > MAX_GROUPS:
            raise RecordError("too_many_groups", str(len(self.groups)))
        return self._pack([group.encode() for group in self.groups])

    def _pack(self, blobs: list[bytes]) -> bytes:
        _check_round(self.round)
        _check_float(self.published_at, "published_at", 2.0**40)
        version = 1 if all(group.is_plain for group in self.groups) else 2
        keys, limit = _BATCH_VERSIONS[version]
        data: bytes = msgpack.packb(dict(zip(keys, (version, self.round, self.published_at, blobs), strict=True)))
        if len(data) > limit:
            raise RecordError("too_large", f"batch of {len(data)} bytes")
        return data

    @classmethod
    def decode(cls, data: bytes) -> GroupBatch:
        """The batch in `data`. Raises RecordError with a reason for anything but a canonical, valid batch."""
        fields = _unpack(data, _BATCH_VERSIONS, max_array=MAX_GROUPS, max_map=len(_BATCH_KEYS))
        blobs = fields["groups"]
        if not isinstance(blobs, list) or not all(isinstance(blob, bytes) for blob in blobs):
            raise RecordError("wrong_type", "groups must be a list of bytes")
        batch = cls(fields["round"], fields["published_at"], tuple(RolloutGroup.decode(blob) for blob in blobs))
        if batch._pack(blobs) != data:  # the blobs are canonical by now: no need to make them again
            raise RecordError("not_canonical")
        return batch


def fitting(groups: Iterable[RolloutGroup]) -> tuple[RolloutGroup, ...]:
    """As many of `groups`, in their order, as are valid and fit into one batch."""
    kept: list[RolloutGroup] = []
    candidates = list(groups)
    limit = MAX_PLAIN_BATCH_BYTES if all(group.is_plain for group in candidates) else MAX_BATCH_BYTES
    room = limit - _BATCH_OVERHEAD
    for group in candidates:
        try:
            size = len(group.encode()) + _BLOB_OVERHEAD
        except RecordError:
            continue
        if size <= room and len(kept) < MAX_GROUPS:
            kept.append(group)
            room -= size
    if all(group.is_plain for group in kept) and limit != MAX_PLAIN_BATCH_BYTES:
        return fitting(kept)  # what would have made it version 2 did not fit
    return tuple(kept)


def _unpack(
    data: bytes, versions: Mapping[int, tuple[tuple[str, ...], int]], max_array: int, max_map: int
) -> dict[str, Any]:
    if len(data) > max(limit for _, limit in versions.values()):
        raise RecordError("too_large", f"{len(data)} bytes")
    try:
        # the limits hold before anything is allocated; no extension types, so nothing is constructed from a tag
        value = msgpack.unpackb(
            data,
            max_str_len=MAX_COMPLETION_BYTES,
            max_bin_len=MAX_GROUP_BYTES,
            max_array_len=max_array,
            max_map_len=max_map,
            max_ext_len=0,
        )
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise RecordError("not_msgpack", type(error).__name__) from error
    if not isinstance(value, dict) or tuple(value)[:1] != ("v",):
        raise RecordError("wrong_fields")
    version = value["v"]
    known = next((entry for number, entry in versions.items() if number == version), None)
    if known is None:
        # repr of whatever a peer nests there could itself run out of stack
        raise RecordError("wrong_version", str(version) if isinstance(version, int) else type(version).__name__)
    keys, limit = known
    if tuple(value) != keys:
        raise RecordError("wrong_fields")
    if len(data) > limit:
        raise RecordError("too_large", f"{len(data)} bytes")
    return value


def _pairs(metadata: object) -> tuple[tuple[str, Scalar], ...]:
    if not isinstance(metadata, dict):
        raise RecordError("wrong_type", "metadata")
    return tuple(metadata.items())


def _rows(packed: object) -> tuple[tuple[float, ...], ...] | None:
    if packed is None:
        return None
    if not isinstance(packed, list) or not all(isinstance(row, bytes) for row in packed):
        raise RecordError("wrong_type", "logprobs must be a list of bytes")
    if any(len(row) % 4 or len(row) > 4 * MAX_TOKENS for row in packed):
        raise RecordError("too_large", "logprobs")
    return tuple(struct.unpack(f"<{len(row) // 4}f", row) for row in packed)


def _pack_floats(row: tuple[float, ...]) -> bytes:
    return struct.pack(f"<{len(row)}f", *row)


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
    if not group.is_plain:
        _check_metadata(group.metadata)
        _check_sampling(group)


def _check_metadata(metadata: tuple[tuple[str, Scalar], ...]) -> None:
    if len(metadata) > MAX_METADATA:
        raise RecordError("too_large", "metadata")
    for key, value in metadata:
        _check_text(key, "metadata", MAX_METADATA_KEY_CHARS)
        if isinstance(value, str):
            _check_text(value, "metadata", MAX_METADATA_BYTES)
        elif type(value) is float:
            _check_float(value, "metadata", 2.0**53)
        elif type(value) is int:
            if abs(value) > 2**53:
                raise RecordError("out_of_range", "metadata")
        elif type(value) is not bool:
            raise RecordError("wrong_type", "metadata")
    keys = [key for key, _ in metadata]
    if keys != sorted(set(keys)):
        raise RecordError("not_canonical", "metadata")


def _check_sampling(group: RolloutGroup) -> None:
    tokenizer: object = group.tokenizer
    if not isinstance(tokenizer, str) or (group.logprobs is None) == bool(tokenizer):
        raise RecordError("wrong_type", "tokenizer")
    if group.logprobs is None:
        return
    if not _TOKENIZER.fullmatch(tokenizer):
        raise RecordError("wrong_type", "tokenizer")
    if len(group.logprobs) != len(group.completions):
        raise RecordError("ragged", "as many rows of logprobs as completions")
    for row in group.logprobs:
        if not 1 <= len(row) <= MAX_TOKENS:
            raise RecordError("out_of_range", "logprobs")
        if not all(type(value) is float and MIN_LOGPROB <= value <= MAX_LOGPROB for value in row):
            raise RecordError("out_of_range", "logprobs")


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
