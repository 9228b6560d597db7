"""The libp2p side of the exchange: other peers call `rpc_fetch` and get our newest batch, or "none", or "busy".

Works with the shelf (what is served) and the gate (who may call how often). The handshake of libp2p has proved who
the caller is, so nothing is signed here. What is larger than 1 MiB goes over a stream, framed here: hivemind's own
streams read as much as the other side claims.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from swarm_core.errors import RecordError
from swarm_dht.admission import Gate
from swarm_dht.guests import Guests
from swarm_dht.libp2p import BytesValue, P2PContext, ServicerBase
from swarm_dht.shelf import Shelf
from swarm_dht.traffic import STREAM, Traffic
from swarm_dht.wire import BATCH, BUSY, MAX_REPLY_BYTES, NAMESPACE, FetchReply, FetchRequest

STREAM_NAME = f"{NAMESPACE}::RolloutExchange.stream"
_ANSWER_SECONDS = 2.0
_REQUEST_SECONDS = 2.0
_STREAM_SECONDS = 20.0
_CHUNK = 64 * 1024
_LENGTH = struct.Struct(">H")
_SIZE = struct.Struct(">I")
_MAX_REQUEST = 256
DialBack = Callable[[str, bytes], Awaitable[bytes]]


class RolloutExchange(ServicerBase):  # type: ignore[misc]
    """Handler of protocol `rlx/1`. hivemind reads the types of `rpc_fetch` from its annotations."""

    def __init__(self, shelf: Shelf, gate: Gate, guests: Guests, dial_back: DialBack, traffic: Traffic) -> None:
        self._traffic = traffic
        self._shelf = shelf
        self._gate = gate
        self._guests = guests
        self._dial_back = dial_back

    async def rpc_fetch(self, request: BytesValue, context: P2PContext) -> BytesValue:
        """Our newest fresh batch, in the newest form that the request says the caller reads."""
        caller = str(context.remote_id)
        async with self._gate.enter(caller, _ANSWER_SECONDS) as admitted:
            pass  # a long-poll holds no slot: the shelf bounds how many wait
        version, reply = await self._answer(caller, bytes(request.value), admitted, unary=True)
        return BytesValue(value=reply.encode(version))

    async def rpc_swap(self, request: BytesValue, context: P2PContext) -> BytesValue:
        """As `rpc_fetch`, from a caller behind NAT that leaves its own signed batch for us to serve on."""
        caller, raw = str(context.remote_id), bytes(request.value)
        async with self._gate.enter(caller, _ANSWER_SECONDS) as admitted:
            asked, mine = _split_swap(raw)
            if admitted and mine:
                with contextlib.suppress(RecordError):  # counted by the guests
                    self._guests.put(caller, mine, time.time())
        version, reply = await self._answer(caller, asked, admitted, unary=True)
        return BytesValue(value=reply.encode(version))

    async def rpc_reach(self, request: BytesValue, context: P2PContext) -> BytesValue:
        """Whether we can dial the caller."""
        caller = str(context.remote_id)
        async with self._gate.enter(caller, _ANSWER_SECONDS) as admitted:
            return BytesValue(value=await self._dial_back(caller, bytes(request.value)) if admitted else b"")

    async def stream(self, caller: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The same over a stream: request and answer have their lengths in front; the caller hangs up."""
        with contextlib.closing(writer), contextlib.suppress(OSError, EOFError, TimeoutError):
            async with asyncio.timeout(_REQUEST_SECONDS):
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                if length > _MAX_REQUEST:
                    return
                raw = await reader.readexactly(length)
            async with self._gate.enter(caller, _ANSWER_SECONDS) as admitted:  # the slot is held while we send
                version, reply = await self._answer(caller, raw, admitted, unary=False)
                data = reply.encode(version)
                async with asyncio.timeout(_STREAM_SECONDS):  # a caller that reads slowly must not hold us for ever
                    writer.write(_SIZE.pack(len(data)))
                    for start in range(0, len(data), _CHUNK):
                        writer.write(data[start : start + _CHUNK])
                        await writer.drain()
                    self._traffic.sent[STREAM] += len(data)
                    await reader.read(1)  # the caller hangs up: if we did, p2pd would drop what it still holds

    async def _answer(self, caller: str, raw: bytes, admitted: bool, *, unary: bool) -> tuple[int, FetchReply]:
        """(version, answer) for `caller`."""
        try:
            request = FetchRequest.decode(raw)
        except RecordError:
            self._gate.refused["bad_request"] += 1
            return 1, FetchReply(BUSY)
        if not admitted:
            return request.version, FetchReply(BUSY)
        if request.author:
            return request.version, self._guests.answer(request, time.time())
        reply = await self._shelf.answer(request, time.time(), unary=unary)
        if reply.kind == BATCH:
            self._shelf.record_fetch(caller, len(reply.data))
        if request.version > 1 and len(self._guests):
            reply = replace(reply, guests=self._guests.told(caller, time.time()))
        return request.version, reply

    @staticmethod
    def swap_request(request: FetchRequest, mine: bytes) -> BytesValue:
        """What a caller behind NAT sends."""
        asked = request.encode()
        return BytesValue(value=_LENGTH.pack(len(asked)) + asked + mine)

    @staticmethod
    def request(request: FetchRequest) -> BytesValue:
        """What a caller sends."""
        return BytesValue(value=request.encode())


def _split_swap(raw: bytes) -> tuple[bytes, bytes]:
    """(request, signed batch) of a swap; what is malformed becomes a malformed request."""
    if len(raw) < _LENGTH.size:
        return b"\0", b""
    (length,) = _LENGTH.unpack_from(raw)
    at = _LENGTH.size + length
    return (raw[_LENGTH.size : at], raw[at:]) if length <= _MAX_REQUEST else (b"\0", b"")


async def read_stream(
    open_stream: Callable[[], Awaitable[tuple[object, asyncio.StreamReader, asyncio.StreamWriter]]],
    request: FetchRequest,
) -> bytes:
    """Ask over a new stream; the raw answer. Raises RecordError when it is longer than an answer may be."""
    _, reader, writer = await open_stream()
    with contextlib.closing(writer):
        raw = request.encode()
        writer.write(_LENGTH.pack(len(raw)) + raw)
        await writer.drain()
        (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
        if size > MAX_REPLY_BYTES:
            raise RecordError("too_large", "stream")
        return await reader.readexactly(size)
