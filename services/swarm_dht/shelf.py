"""The node's own published batches: what `rpc_fetch` serves. Survives a rebuild of p2pd, not of the process.

Each is encoded and compressed once, when it is put, in every form that a caller may be able to read.

Works with records only; the worker puts, other peers take. Times are Unix seconds of this host.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from dataclasses import dataclass

from swarm_core.records import GroupBatch, RolloutGroup
from swarm_dht.wire import BATCH, LARGE, MAX_UNARY_BYTES, NONE, SAME, FetchReply, FetchRequest, compress, mark_of

_KEPT_ROUNDS = 3
_KEPT_DIGESTS = 1024
_KEPT_READERS = 256
_MAX_POLLING = 64


@dataclass(frozen=True)
class PublishedGroup:
    """A group that was, or is, open to others."""

    sha256: str
    round: int
    published_at: float
    serving: bool


@dataclass(frozen=True)
class _Entry:
    batch: GroupBatch
    data: bytes
    plain: bytes  # for peers of version 1
    packed: tuple[bytes, int]  # compressed, and the encoding: raw when that is smaller
    mark: bytes
    digests: tuple[str, ...]

    @classmethod
    def of(cls, batch: GroupBatch) -> _Entry:
        data, plain = batch.encode(), batch.plain()
        return cls(
            batch,
            data,
            plain.encode() if plain.groups else b"",
            compress(data),
            mark_of(data),
            tuple(group.digest() for group in batch.groups),
        )


class Shelf:
    """The newest few batches, and who took them."""

    def __init__(self, max_age: float) -> None:
        self._max_age = max_age
        self._entries: OrderedDict[int, _Entry] = OrderedDict()  # round -> entry, newest put last
        self._history: deque[tuple[str, int, float]] = deque(maxlen=_KEPT_DIGESTS)
        self.fetched_by: OrderedDict[str, int] = OrderedDict()
        self._news = asyncio.Event()
        self._polling = 0
        self.dropped_groups = 0
        self.bytes_sent = 0

    def put(self, batch: GroupBatch) -> int:
        """Replace the batch of that round by `batch`; groups without advantage are left out. Returns groups served."""
        groups = tuple(group for group in batch.groups if has_advantage(group))
        self.dropped_groups += len(batch.groups) - len(groups)
        kept = batch if len(groups) == len(batch.groups) else GroupBatch(batch.round, batch.published_at, groups)
        entry = _Entry.of(kept)
        previous = self._entries.pop(batch.round, None)
        self._entries[batch.round] = entry
        while len(self._entries) > _KEPT_ROUNDS:
            self._entries.popitem(last=False)
        known = set(previous.digests) if previous else set()
        self._history.extend((digest, kept.round, kept.published_at) for digest in entry.digests if digest not in known)
        self._news.set()
        self._news = asyncio.Event()
        return len(groups)

    async def answer(self, request: FetchRequest, now: float, *, unary: bool) -> FetchReply:
        """What `request` gets, after at most its long-poll: in the newest form that the caller reads.

        Over `unary` a batch beyond 1 MiB is announced as LARGE only.
        """
        reply = self.reply(now)
        if request.version == 1:
            entry = self._newest()
            plain = entry.plain if entry is not None and reply.kind == BATCH else b""
            return FetchReply(BATCH, reply.age, plain) if plain else FetchReply(NONE)
        if request.wait and self._polling < _MAX_POLLING and (reply.kind == NONE or self._has(request)):
            await self._poll(request.wait)
            reply = self.reply(now + request.wait)
        entry = self._newest()
        if entry is None or reply.kind == NONE:
            return FetchReply(NONE)
        if self._has(request):
            return FetchReply(SAME, reply.age)
        data, encoding = entry.packed if request.zstd else (entry.data, 0)
        if unary and len(data) > MAX_UNARY_BYTES:
            return FetchReply(LARGE, reply.age)
        return FetchReply(BATCH, reply.age, data, encoding)

    async def _poll(self, seconds: float) -> None:
        self._polling += 1
        try:
            await self.wait_for_news(seconds)
        finally:
            self._polling -= 1

    async def wait_for_news(self, seconds: float) -> None:
        """Return when a batch is put, at the latest after `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return

    @property
    def newest(self) -> GroupBatch | None:
        """The newest batch with groups, whatever its age."""
        entry = self._newest()
        return entry.batch if entry is not None and entry.batch.groups else None

    def _has(self, request: FetchRequest) -> bool:
        entry = self._newest()
        return entry is not None and request.have == entry.mark

    def reply(self, now: float) -> FetchReply:
        """The newest batch as it is, with its age, or none when there is no fresh one with groups."""
        entry = self._newest()
        if entry is None or not entry.batch.groups:
            return FetchReply(NONE)
        age = max(0.0, now - entry.batch.published_at)
        return FetchReply(NONE) if age > self._max_age else FetchReply(BATCH, age, entry.data)

    def record_fetch(self, peer: str, size: int) -> None:
        """Count that `peer` was given a batch of `size` bytes."""
        self.fetched_by[peer] = self.fetched_by.pop(peer, 0) + 1
        if len(self.fetched_by) > _KEPT_READERS:
            self.fetched_by.popitem(last=False)
        self.bytes_sent += size

    def serving(self, now: float) -> tuple[str, ...]:
        """SHA-256 of the groups that a caller would get now."""
        entry = self._newest()
        return entry.digests if entry is not None and self.reply(now).kind == BATCH else ()

    @property
    def newest_round(self) -> int | None:
        """The round of the newest batch."""
        entry = self._newest()
        return entry.batch.round if entry else None

    def published(self, now: float) -> list[PublishedGroup]:
        """The last published groups, oldest first."""
        serving = set(self.serving(now))
        return [PublishedGroup(digest, number, at, digest in serving) for digest, number, at in self._history]

    def _newest(self) -> _Entry | None:
        return next(reversed(self._entries.values())) if self._entries else None


def has_advantage(group: RolloutGroup) -> bool:
    """Whether the group can teach anything: its rewards are not all equal."""
    return min(group.rewards) != max(group.rewards)
