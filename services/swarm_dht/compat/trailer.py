"""A signature behind a genrl record, which upstream's reader does not look at and ours believes.

Layout: 8 bytes magic, 2 bytes length and the libp2p public key, 2 bytes length and the signature (lengths big-endian).
Signed are the magic, the swarm, the round and the SHA-256 of the record, so it counts in no other swarm and round.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from swarm_core.errors import RecordError
from swarm_core.identity import PeerKey, verify

MAGIC = b"rlx-sig1"
MAX_TRAILER_BYTES = 4096
_LENGTH = struct.Struct(">H")


@dataclass(frozen=True)
class Context:
    """What a record is signed for: the swarm (chain id) and the round under whose key it stands."""

    swarm: str
    round: int


def message(record: bytes, context: Context) -> bytes:
    """The bytes that are signed; the fixed first line separates them from everything else that the key signs."""
    digest = hashlib.sha256(record).hexdigest()
    return f"rl-swarm genrl record v1\nswarm {context.swarm}\nround {context.round}\nsha256 {digest}\n".encode()


def sign(record: bytes, key: PeerKey, context: Context) -> bytes:
    """`record` with the trailer of `key` behind it."""
    parts = (key.public, key.sign(message(record, context)))
    return record + MAGIC + b"".join(_LENGTH.pack(len(part)) + part for part in parts)


def is_signed(trailer: bytes, record: bytes, peer_id: str, context: Context) -> bool:
    """Whether `trailer` is the signature of `peer_id`; False for none at all. Raises RecordError for a wrong one."""
    if not trailer.startswith(MAGIC):
        return False
    if len(trailer) > MAX_TRAILER_BYTES:
        raise RecordError("too_large", "trailer")
    rest, parts = trailer[len(MAGIC) :], []
    for _ in range(2):
        if len(rest) < _LENGTH.size:
            raise RecordError("bad_signature", "cut short")
        (length,) = _LENGTH.unpack_from(rest)
        parts.append(rest[_LENGTH.size : _LENGTH.size + length])
        rest = rest[_LENGTH.size + length :]
    public, signature = parts
    if rest or not verify(peer_id, public, signature, message(record, context)):
        raise RecordError("bad_signature")
    return True
