"""Reading and writing genrl's key of a round at a small part of upstream's cost (findings/dht.md, section 5).

Upstream looks for the holders by asking for the key itself, and every holder on the way answers with its whole
dictionary. Here the way leads to the neighbouring key, which holds nothing: same holders, no download. A reader asks
one holder, and parses its answer record by record, so that a bad one costs nobody the others.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from swarm_core.errors import RecordError
from swarm_dht.generation import CALL_ERRORS, Generation
from swarm_dht.guard import Requests, StoreGuard, checked_subkey, parse_dictionary, parse_value
from swarm_dht.libp2p import DHTID, dht_pb2

REPLICAS = 5
MAX_READ_BYTES = 4 * 1024 * 1024  # hivemind's own limit of a message
_WALK_SECONDS = 10.0
_CALL_SECONDS = 10.0  # hivemind's 3 s are too short for a large dictionary on a slow line


@dataclass(frozen=True)
class Record:
    """One peer's record as a holder gave it: `until` is its end in Unix seconds of the writer."""

    peer: str
    data: bytes
    until: float


@dataclass(frozen=True)
class Reading:
    """What one holder answered: records, the size of the dictionary, and entries left out by reason."""

    records: tuple[Record, ...]
    size: int
    refused: tuple[str, ...] = ()


def key_of(number: int) -> Any:
    """The DHT id of a round: genrl's key is the decimal number as a string."""
    return DHTID.generate(source=str(number))


async def holders(generation: Generation, number: int) -> list[Any]:
    """The peers that hold, or should hold, the key of round `number`, nearest first. Raises one of CALL_ERRORS."""
    beside = DHTID(int(key_of(number)) ^ 1)
    async with asyncio.timeout(_WALK_SECONDS):
        found = await generation.dht.find_nearest_nodes([beside], k_nearest=REPLICAS, exclude_self=True)
    return list(found[beside].values())


async def write(generation: Generation, guard: StoreGuard, number: int, data: bytes, until: float) -> int:
    """Store our record with the holders and here; how many others took it. Raises one of CALL_ERRORS."""
    protocol, own_id = generation.dht.protocol, generation.peer_id
    key, packed = key_of(number), protocol.serializer.dumps(data)
    request = dht_pb2.StoreRequest(
        keys=[key.to_bytes()], subkeys=[protocol.serializer.dumps(own_id)], values=[packed], expiration_time=[until],
        in_cache=[False], peer=protocol.node_info,
    )  # fmt: skip
    Requests(guard).store(own_id, request, protocol, DHTID.from_bytes)

    async def store_at(peer: Any) -> bool:
        try:
            answer = await protocol.get_stub(peer).rpc_store(request, timeout=_CALL_SECONDS)
        except CALL_ERRORS:
            return False
        return bool(answer.store_ok) and all(answer.store_ok)

    return sum(await asyncio.gather(*(store_at(peer) for peer in await holders(generation, number))))


async def read(generation: Generation, peer: Any, number: int) -> Reading:
    """What `peer` holds of round `number`. Raises one of CALL_ERRORS, or RecordError for junk or a plain value."""
    protocol = generation.dht.protocol
    request = dht_pb2.FindRequest(keys=[key_of(number).to_bytes()], peer=protocol.node_info)
    answer = await protocol.get_stub(peer).rpc_find(request, timeout=_CALL_SECONDS)
    if len(answer.results) != 1:
        raise RecordError("bad_reply", "not one result")
    found = answer.results[0]
    if found.type == dht_pb2.NOT_FOUND:
        return Reading((), 0)
    if found.type != dht_pb2.FOUND_DICTIONARY:
        raise RecordError("plain_value")
    return parse(found.value)


def parse(raw: bytes) -> Reading:
    """The records in a packed dictionary. Raises RecordError when it is none."""
    records, refused = [], []
    for subkey, value, until in parse_dictionary(raw, MAX_READ_BYTES):
        try:
            if not isinstance(value, bytes) or not isinstance(until, int | float):
                raise RecordError("wrong_type")
            records.append(Record(checked_subkey(subkey), parse_value(value), float(until)))
        except RecordError as error:
            refused.append(error.reason)
    return Reading(tuple(records), len(raw), tuple(refused))
