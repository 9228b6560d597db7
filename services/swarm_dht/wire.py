"""The answer of `rpc_fetch`, protocol `rlx/1`: one header in front of the bytes of a GroupBatch.

Layout: 1 byte version, 1 byte kind, 8 bytes age in seconds (big-endian double), then the batch. "None" costs ten
bytes. Golden bytes: tests/unit/swarm_dht/test_wire.py.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from swarm_core.errors import RecordError
from swarm_core.records import MAX_BATCH_BYTES

NAMESPACE = "rlx/1"
NONE, BATCH, BUSY = 0, 1, 2
_VERSION = 1
_HEADER = struct.Struct(">BBd")
MAX_REPLY_BYTES = MAX_BATCH_BYTES + _HEADER.size
_MAX_AGE = 1e9


@dataclass(frozen=True)
class FetchReply:
    """What a peer answers: its newest batch with the batch's age in seconds, nothing, or "ask me later"."""

    kind: int
    age: float = 0.0
    data: bytes = b""

    def encode(self) -> bytes:
        """The bytes on the wire."""
        return _HEADER.pack(_VERSION, self.kind, self.age) + self.data

    @classmethod
    def decode(cls, raw: bytes) -> FetchReply:
        """The reply in `raw`. Raises RecordError; the batch inside is not looked at."""
        if len(raw) > MAX_REPLY_BYTES:
            raise RecordError("too_large", f"{len(raw)} bytes")
        if len(raw) < _HEADER.size:
            raise RecordError("bad_reply", "shorter than its header")
        version, kind, age = _HEADER.unpack_from(raw)
        if version != _VERSION:
            raise RecordError("wrong_version", str(version))
        data = raw[_HEADER.size :]
        if kind not in (NONE, BATCH, BUSY) or (kind != BATCH and data) or (kind == BATCH and not data):
            raise RecordError("bad_reply", f"kind {kind}")
        if not math.isfinite(age) or not 0.0 <= age <= _MAX_AGE:
            raise RecordError("bad_reply", "age")
        return cls(kind, age, data)
