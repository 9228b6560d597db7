"""Our half of a swarm with genuine genrl peers: publish under the round's key, read others' records from it.

Works with `round_key` (the DHT), `trailer` (our signature) and `genrl_records` (the form). A peer that we hear
natively is not read from here. Where the dictionary of a round comes near libp2p's limit of 4 MiB, beyond which
nobody could read it any more and every reader would lose its routing table, this stops by itself and says so.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection

from swarm_core.errors import RecordError
from swarm_core.genrl_records import decode_groups
from swarm_core.identity import PeerKey
from swarm_core.log import get_logger
from swarm_core.records import GroupBatch
from swarm_core.status import CompatStatus
from swarm_dht.compat import round_key
from swarm_dht.compat.trailer import Context, is_signed, sign
from swarm_dht.generation import CALL_ERRORS, Generation
from swarm_dht.guard import MAX_TTL_SECONDS, StoreGuard
from swarm_dht.supervisor import Supervisor

TTL_SECONDS = 600.0  # as upstream
STOP_BYTES = 2 * 1024 * 1024
RESUME_BYTES = 3 * 1024 * 1024 // 2
MAX_UNSIGNED = 32  # records of one reading that nobody signed
_MAX_HOLDERS = 3
_MAX_SIGNERS = 4096
_READINGS = 5
_FUTURE_SECONDS = 60.0
log = get_logger("compat")

Batch = tuple[str, float, bytes]


class GenrlBridge:
    """One node's access to genrl's round keys. `peers` counts the peers now known, for the estimate of a dictionary."""

    def __init__(
        self, key: PeerKey, swarm: str, supervisor: Supervisor, guard: StoreGuard, peers: Callable[[], int],
        rng: random.Random,
    ) -> None:  # fmt: skip
        self._key = key
        self._swarm = swarm
        self._supervisor = supervisor
        self._guard = guard
        self._peers = peers
        self._rng = rng
        self._signers: OrderedDict[str, None] = OrderedDict()
        self._own_bytes = 0
        # sizes of the last dictionaries, and when they were read: the median, so that one liar cannot stop us
        self._seen: deque[tuple[int, float]] = deque(maxlen=_READINGS)
        self.stopped = False
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.bytes_received = 0

    def status(self) -> CompatStatus:
        """For `GET /v1/status`."""
        return CompatStatus(
            stopped=self._near_cliff(),
            dictionary_bytes=self._estimate(),
            counts=dict(self.counts),
            refused=dict(self.refused),
            bytes_received=self.bytes_received,
        )

    async def publish(self, number: int, record: bytes, seconds: float) -> int:
        """Sign and store our record of round `number`; the number of other peers that hold it now.

        Raises RecordError when `record` is none, TimeoutError or one of CALL_ERRORS when the swarm is not there.
        """
        decode_groups(record)
        self._own_bytes = len(record)
        if self._near_cliff():
            self.counts["not_written"] += 1
            return 0
        signed = await asyncio.to_thread(sign, record, self._key, Context(self._swarm, number))
        until = time.time() + TTL_SECONDS

        async def attempt(generation: Generation) -> int:
            return await round_key.write(generation, self._guard, number, signed, until)

        replicas = await self._supervisor.call(attempt, seconds)
        self.counts["written" if replicas else "unacknowledged"] += 1
        return replicas

    async def collect(
        self, number: int, want: int, seconds: float, max_age: float, heard: Collection[str]
    ) -> list[Batch]:
        """Batches of round `number` by peers not in `heard`: (peer, age in seconds, GroupBatch bytes). Never raises for
        what others do; at most `seconds` long."""
        if self._near_cliff():
            self.counts["not_read"] += 1
            return []
        found: dict[str, tuple[Batch, int]] = {}
        known = {self._key.peer_id, *heard}

        async def attempt(generation: Generation) -> None:
            peers = await round_key.holders(generation, number)
            for peer in self._rng.sample(peers, min(_MAX_HOLDERS, len(peers))):
                await self._read(generation, peer, number, max_age, known, found)
                if sum(groups for _, groups in found.values()) >= want:
                    return

        try:
            await self._supervisor.call(attempt, seconds)
        except CALL_ERRORS as error:
            self.counts["failed"] += 1
            log.debug("round key not read", round=number, error=repr(error))
        return [batch for batch, _ in found.values()]

    async def _read(
        self,
        generation: Generation,
        peer: object,
        number: int,
        max_age: float,
        known: set[str],
        found: dict[str, tuple[Batch, int]],
    ) -> None:
        try:
            reading = await round_key.read(generation, peer, number)
        except RecordError as error:
            self.refused[error.reason] += 1
            return
        except CALL_ERRORS:
            self.counts["failed"] += 1
            return
        self.counts["read"] += 1
        self.bytes_received += reading.size
        self._seen.append((reading.size, time.monotonic()))
        self.refused.update(reading.refused)
        unsigned = 0
        for record in self._rng.sample(reading.records, len(reading.records)):  # no position is worth anything
            if record.peer in known or record.peer in found:
                continue
            try:
                signed, batch, groups = await asyncio.to_thread(self._accept, record, number, max_age)
                unsigned += not signed
                if not signed and unsigned > MAX_UNSIGNED:
                    raise RecordError("too_many_unsigned")
            except RecordError as error:
                self.refused[error.reason] += 1
                continue
            self.counts["signed" if signed else "unsigned"] += 1
            found[record.peer] = batch, groups

    def _accept(self, record: round_key.Record, number: int, max_age: float) -> tuple[bool, Batch, int]:
        """(was it signed, the batch, its groups). Raises RecordError. Costs time, so it runs beside the loop."""
        now = time.time()
        if record.until > now + MAX_TTL_SECONDS + _FUTURE_SECONDS:
            raise RecordError("ttl")
        age = max(0.0, now - (record.until - TTL_SECONDS))
        if age > max_age:
            raise RecordError("stale")
        groups, rest = decode_groups(record.data)
        content = record.data[: len(record.data) - len(rest)]
        signed = is_signed(rest, content, record.peer, Context(self._swarm, number))
        if not signed and record.peer in self._signers:
            raise RecordError("unsigned")  # that peer signs: somebody else wrote this
        if signed:
            self._signers[record.peer] = None
            while len(self._signers) > _MAX_SIGNERS:
                self._signers.popitem(last=False)
        if not groups:
            raise RecordError("no_groups")
        return signed, (record.peer, age, GroupBatch(number, now - age, groups).encode()), len(groups)

    def _estimate(self) -> int:
        """Bytes that the dictionary of a round has or is about to have."""
        fresh = [size for size, at in self._seen if time.monotonic() - at < TTL_SECONDS]
        return max(int(statistics.median(fresh)) if fresh else 0, (self._peers() + 1) * self._own_bytes)

    def _near_cliff(self) -> bool:
        estimate = self._estimate()
        stopped = estimate > (RESUME_BYTES if self.stopped else STOP_BYTES)
        if stopped != self.stopped:
            write = log.warning if stopped else log.info
            write("genrl compatibility " + ("stopped" if stopped else "goes on"), dictionary_bytes=estimate,
                  limit=STOP_BYTES)  # fmt: skip
        self.stopped = stopped
        return stopped
