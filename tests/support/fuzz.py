"""Mutated records through every decoder of strangers' bytes: only RecordError comes out, at bounded cost."""

from __future__ import annotations

import random
import resource
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import msgpack

from swarm_core import genrl, records
from swarm_core.errors import RecordError
from swarm_core.genrl import Payload, WorldState
from swarm_core.genrl_records import decode_groups, question_id
from swarm_core.records import GroupBatch, RolloutGroup
from swarm_dht.guard import parse_dictionary, parse_value
from swarm_dht.wire import FetchReply, FetchRequest

_RECORDS = ("genrl", "batch")
_TRACED_EVERY = 61  # tracemalloc makes everything slow, so it looks at some of the inputs


@dataclass
class Outcome:
    """What `run` saw. `peaks`: most bytes that one call of a decoder allocated, over the inputs that were traced."""

    inputs: int = 0
    accepted: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    peaks: dict[str, int] = field(default_factory=dict)
    rss_growth: int = 0


DECODERS: dict[str, tuple[Callable[[bytes], object], int]] = {
    # decoder, and the limit of its input in bytes
    "genrl": (decode_groups, genrl.MAX_BYTES),
    "batch": (GroupBatch.decode, records.MAX_BATCH_BYTES),
    "group": (RolloutGroup.decode, records.MAX_GROUP_BYTES),
    "reply": (lambda data: FetchReply.decode(data).payload(), records.MAX_BATCH_BYTES),
    "request": (FetchRequest.decode, 256),
    "dictionary": (lambda data: parse_dictionary(data, 1024 * 1024), 1024 * 1024),
    "value": (parse_value, genrl.MAX_BYTES),
}


def seeds() -> list[bytes]:
    """Valid inputs to start from, one of each kind, and headers that claim much."""
    group = RolloutGroup("gcd", 7, "What?", "2", ("<answer>2</answer>", "no"), (1.0, 0.0))
    batch = GroupBatch(3, 1e9, (group, group)).encode()
    state = WorldState({"question": "q", "answer": "a", "metadata": {"source_dataset": "gcd", "source_index": 3}})
    shared = genrl.encode({question_id("q"): [Payload(state, ["a", "b"])]})
    entries = msgpack.packb([float("inf"), 1e9, [["QmA", msgpack.packb(shared), 1e9]]])
    return [
        group.encode(), batch, shared, FetchReply(1, 1.0, batch).encode(), FetchReply(1, 1.0, batch).encode(2),
        FetchRequest().encode(), msgpack.packb(msgpack.ExtType(0x50, entries)), msgpack.packb(shared),
        struct.pack(">QQ", 1, 2**31), struct.pack(">QQ", 2, 2**60), struct.pack(">QQ", 3, 2**40) + b"x" * 64,
        struct.pack(">QQ", 1, 1) * 4000, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff" + b"x" * 64, b"\x91" * 3000,
    ]  # fmt: skip


def mutate(data: bytes, rng: random.Random) -> bytes:
    """`data` with a few bytes flipped, cut, repeated, replaced by a large number, or spliced."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[at : at + rng.randrange(1, 32)]
        elif kind == 2:
            changed[at:at] = rng.randbytes(rng.randrange(1, 16))
        elif kind == 3:
            changed[at : at + 8] = struct.pack(">Q", rng.choice((0, 1, 2**16, 2**28, 2**31, 2**63, 2**64 - 1)))
        elif kind == 4:
            changed[at:at] = changed[at : at + rng.randrange(1, 64)] * rng.randrange(1, 8)
        elif at < len(changed):
            changed[at] = rng.randrange(256)
    return bytes(changed)


def run(count: int, seed: int) -> Outcome:
    """`count` mutated inputs through all decoders. Raises whatever a decoder raises that is no RecordError."""
    rng, outcome, start = random.Random(seed), Outcome(), seeds()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    others = [name for name in DECODERS if name not in _RECORDS]
    for number in range(count):
        data = mutate(rng.choice(start), rng)
        chosen = (*_RECORDS, others[number % len(others)])  # both record decoders see every input
        traced = number % _TRACED_EVERY == 0
        for name in chosen:
            _one(name, data, traced, outcome)
    outcome.inputs = count
    outcome.rss_growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    return outcome


def _one(name: str, data: bytes, traced: bool, outcome: Outcome) -> None:
    decoder, _ = DECODERS[name]
    if traced:
        tracemalloc.start()
    try:
        decoder(data)
        outcome.accepted[name] += 1
    except RecordError as error:
        outcome.refused[error.reason] += 1
    finally:
        if traced:
            outcome.peaks[name] = max(outcome.peaks.get(name, 0), tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
