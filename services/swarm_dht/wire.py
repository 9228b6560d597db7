"""Request and answer of `rpc_fetch`, protocol `rlx/1`, in two versions; the caller's request says what it can read.

Request: version 1 is empty. Version 2: 1 byte version, 1 byte flags (1: zstd), 2 bytes long-poll (ms), 8 bytes prefix
of the SHA-256 of the batch that the caller has (zeros: none), then the peer id whose batch is wanted (empty: yours).
Answer, version 1: 1 byte version, 1 byte kind, 8 bytes age in seconds (big-endian double), then the batch.
Version 2: version, kind, age as before, 1 byte encoding (0 raw, 1 zstd), 1 byte number of guests, each guest as 1 byte
length and its peer id, then the data. A later version keeps these beginnings. "None" costs ten or twelve bytes.
Golden bytes: tests/unit/swarm_dht/test_wire.py.
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass

import zstandard

from swarm_core.errors import RecordError
from swarm_core.identity import is_peer_id
from swarm_core.records import MAX_BATCH_BYTES, MAX_PLAIN_BATCH_BYTES

NAMESPACE = "rlx/1"
VERSION = 2
NONE, BATCH, BUSY = 0, 1, 2
SAME, LARGE, SIGNED = 3, 4, 5  # version 2: you have it; ask `rpc_stream`; a guest's batch with its signature
RAW, ZSTD = 0, 1
MAX_UNARY_BYTES = MAX_PLAIN_BATCH_BYTES  # what is larger is streamed
MAX_DATA_BYTES = MAX_BATCH_BYTES + 2048  # with a signature in front
MAX_GUESTS = 8
MAX_WAIT_SECONDS = 5.0
HAVE_BYTES = 8
NOTHING = bytes(HAVE_BYTES)
_REQUEST = struct.Struct(f">BBH{HAVE_BYTES}s")
_HEADER = struct.Struct(">BBd")
_MAX_PEER_ID = 64
MAX_REPLY_BYTES = MAX_DATA_BYTES + _HEADER.size + 2 + MAX_GUESTS * (1 + _MAX_PEER_ID)
_MAX_AGE = 1e9
_WITH_DATA = (BATCH, SIGNED)
_WINDOW_BYTES = 8 * 1024 * 1024
_LEVEL = 3


@dataclass(frozen=True)
class FetchRequest:
    """What a caller can read and wants. `wait`: seconds to hold the answer until there is something new."""

    version: int = VERSION
    zstd: bool = True
    wait: float = 0.0
    have: bytes = NOTHING
    author: str = ""

    def encode(self) -> bytes:
        """The bytes on the wire."""
        if self.version == 1:
            return b""
        wait_ms = int(min(self.wait, MAX_WAIT_SECONDS) * 1000)
        return _REQUEST.pack(self.version, int(self.zstd), wait_ms, self.have) + self.author.encode()

    @classmethod
    def decode(cls, raw: bytes) -> FetchRequest:
        """The request in `raw`. Raises RecordError. A later version's is read as far as this one knows it."""
        if not raw:
            return cls(version=1, zstd=False)
        if not _REQUEST.size <= len(raw) <= _REQUEST.size + _MAX_PEER_ID:
            raise RecordError("bad_request", f"{len(raw)} bytes")
        version, flags, wait_ms, have = _REQUEST.unpack_from(raw)
        author = raw[_REQUEST.size :].decode("ascii", "replace")
        if version < VERSION or (author and not is_peer_id(author)):
            raise RecordError("bad_request")
        return cls(VERSION, bool(flags & 1), min(wait_ms / 1000, MAX_WAIT_SECONDS), have, author)


@dataclass(frozen=True)
class FetchReply:
    """What a peer answers: its newest batch with the batch's age in seconds, nothing, or "ask me later".

    `data` as it travels, in `encoding`; `guests` are peers behind NAT whose batches it serves on.
    """

    kind: int
    age: float = 0.0
    data: bytes = b""
    encoding: int = RAW
    guests: tuple[str, ...] = ()

    def encode(self, version: int = 1) -> bytes:
        """The bytes on the wire, for a caller of `version`."""
        head = _HEADER.pack(version, self.kind, self.age)
        if version == 1:
            return head + self.data
        guests = b"".join(bytes([len(guest)]) + guest.encode() for guest in self.guests)
        return head + bytes([self.encoding, len(self.guests)]) + guests + self.data

    @classmethod
    def decode(cls, raw: bytes) -> FetchReply:
        """The reply in `raw`. Raises RecordError; the batch inside is not looked at."""
        if len(raw) > MAX_REPLY_BYTES:
            raise RecordError("too_large", f"{len(raw)} bytes")
        if len(raw) < _HEADER.size:
            raise RecordError("bad_reply", "shorter than its header")
        version, kind, age = _HEADER.unpack_from(raw)
        if version not in (1, VERSION):
            raise RecordError("wrong_version", str(version))
        rest, encoding = raw[_HEADER.size :], RAW
        guests: tuple[str, ...] = ()
        if version == VERSION:
            encoding, guests, rest = _second_header(rest)
        if version == 1 and len(rest) > MAX_PLAIN_BATCH_BYTES:
            raise RecordError("too_large", f"{len(raw)} bytes")
        if kind not in ((NONE, BATCH, BUSY) if version == 1 else (NONE, BATCH, BUSY, SAME, LARGE, SIGNED)):
            raise RecordError("bad_reply", f"kind {kind}")
        if bool(rest) != (kind in _WITH_DATA):
            raise RecordError("bad_reply", f"kind {kind}")
        if not math.isfinite(age) or not 0.0 <= age <= _MAX_AGE:
            raise RecordError("bad_reply", "age")
        return cls(kind, age, rest, encoding, guests)

    def payload(self) -> bytes:
        """`data`, decompressed. Raises RecordError; never allocates more than the limit of a batch."""
        return self.data if self.encoding == RAW else decompress(self.data)


def mark_of(data: bytes) -> bytes:
    """By which a caller says that it has this batch already."""
    return hashlib.sha256(data).digest()[:HAVE_BYTES]


def is_large(raw: bytes) -> bool:
    """Whether the raw answer says to ask over a stream."""
    return len(raw) <= MAX_REPLY_BYTES and raw[:2] == bytes([VERSION, LARGE])


def pack(data: bytes) -> bytes:
    """A zstd frame that tells its size."""
    return zstandard.ZstdCompressor(level=_LEVEL).compress(data)


def compress(data: bytes) -> tuple[bytes, int]:
    """(bytes, encoding): with zstd when that is smaller."""
    packed = pack(data)
    return (packed, ZSTD) if len(packed) < len(data) else (data, RAW)


def decompress(data: bytes) -> bytes:
    """The content of a zstd frame that tells its size. Raises RecordError for a bomb, before anything is allocated."""
    try:
        frame = zstandard.get_frame_parameters(data)
        # content_size is what decompress() allocates; a frame that hides it says 2^64 - 1
        if frame.content_size > MAX_DATA_BYTES or frame.window_size > _WINDOW_BYTES:
            raise RecordError("bomb", f"{frame.content_size} bytes")
        return zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise RecordError("bad_compression") from error


def _second_header(rest: bytes) -> tuple[int, tuple[str, ...], bytes]:
    """(encoding, guests, data) behind the header that both versions share."""
    if len(rest) < 2 or rest[0] not in (RAW, ZSTD) or rest[1] > MAX_GUESTS:
        raise RecordError("bad_reply", "second header")
    encoding, count, at = rest[0], rest[1], 2
    guests: list[str] = []
    for _ in range(count):
        length = rest[at] if at < len(rest) else 0
        guest = rest[at + 1 : at + 1 + length].decode("ascii", "replace")
        if len(guest) != length or length > _MAX_PEER_ID or not is_peer_id(guest):
            raise RecordError("bad_reply", "guest")
        guests.append(guest)
        at += 1 + length
    return encoding, tuple(guests), rest[at:]
