"""Batches of peers behind NAT that we serve on for them (`rpc_swap`): signed by their authors, few, small and fresh.

Only the author itself deposits, once a second at most; the libp2p handshake proves who calls, the signature proves it
to those we serve. Nothing in a batch is looked at beyond its form; whoever takes it judges it as any other.
"""

from __future__ import annotations

import random
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass

from swarm_core.errors import RecordError
from swarm_core.records import GroupBatch
from swarm_dht.signed import unseal
from swarm_dht.wire import MAX_GUESTS, NONE, SAME, SIGNED, FetchReply, FetchRequest, compress, decompress, mark_of

MAX_GUEST_BYTES = 512 * 1024
_MAX_KEPT = 32
_MAX_TOTAL_BYTES = 8 * 1024 * 1024
_PAUSE_SECONDS = 1.0
_FUTURE_SECONDS = 60.0


@dataclass(frozen=True)
class _Guest:
    packed: tuple[bytes, int]
    mark: bytes
    published_at: float
    put_at: float


class Guests:
    """At most 32 authors, the newest last."""

    def __init__(self, swarm: str, max_age: float, rng: random.Random) -> None:
        self._swarm = swarm
        self._max_age = max_age
        self._rng = rng
        self._kept: OrderedDict[str, _Guest] = OrderedDict()
        self.refused: Counter[str] = Counter()
        self.bytes_sent = 0

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, author: str, raw: bytes, now: float) -> None:
        """Keep `raw`, a compressed signed batch of `author`. Raises RecordError, counted by reason."""
        try:
            self._put(author, raw, now)
        except RecordError as error:
            self.refused[error.reason] += 1
            raise

    def _put(self, author: str, raw: bytes, now: float) -> None:
        if len(raw) > MAX_GUEST_BYTES:
            raise RecordError("too_large", f"{len(raw)} bytes")
        known = self._kept.get(author)
        if known is not None and time.monotonic() - known.put_at < _PAUSE_SECONDS:
            raise RecordError("rate")
        sealed = decompress(raw)
        data = unseal(sealed, author, self._swarm)
        batch = GroupBatch.decode(data)
        if now - batch.published_at > self._max_age:
            raise RecordError("stale")
        if batch.published_at - now > _FUTURE_SECONDS:
            raise RecordError("from_future")
        self._kept.pop(author, None)
        self._kept[author] = _Guest(compress(sealed), mark_of(data), batch.published_at, time.monotonic())
        while len(self._kept) > _MAX_KEPT or self._total() > _MAX_TOTAL_BYTES:
            self._kept.popitem(last=False)

    def _total(self) -> int:
        return sum(len(guest.packed[0]) for guest in self._kept.values())

    def authors(self, now: float) -> list[str]:
        """Whose fresh batches are here."""
        for author in [name for name, guest in self._kept.items() if now - guest.published_at > self._max_age]:
            del self._kept[author]
        return list(self._kept)

    def told(self, caller: str, now: float) -> tuple[str, ...]:
        """A few of the authors, at random, for the answer to `caller`."""
        others = [author for author in self.authors(now) if author != caller]
        return tuple(self._rng.sample(others, min(MAX_GUESTS, len(others))))

    def answer(self, request: FetchRequest, now: float) -> FetchReply:
        """The batch of `request.author`, signed; none when it is not here or no longer fresh."""
        guest = self._kept.get(request.author) if request.author in self.authors(now) else None
        if guest is None:
            return FetchReply(NONE)
        age = max(0.0, now - guest.published_at)
        if guest.mark == request.have:
            return FetchReply(SAME, age)
        self.bytes_sent += len(guest.packed[0])
        return FetchReply(SIGNED, age, *guest.packed)
