"""A batch with its author's signature, so that another peer can serve it on: how peers behind NAT reach each other.

Layout: 2 bytes length and the public key (libp2p protobuf), 2 bytes length and the signature, then the `GroupBatch`.
The signature is over a fixed first line, the author, the swarm and the SHA-256 of the batch; the batch names its round
and the time of publishing, so an old one is refused by its age.
"""

from __future__ import annotations

import hashlib
import struct

from swarm_core.errors import RecordError
from swarm_core.identity import PeerKey, verify

_LENGTH = struct.Struct(">H")
_MAX_PART = 1024


def _message(author: str, swarm: str, data: bytes) -> bytes:
    digest = hashlib.sha256(data).hexdigest()
    return f"rl-swarm served-on batch v1\npeer {author}\nswarm {swarm}\nsha256 {digest}\n".encode()


def seal(key: PeerKey, swarm: str, data: bytes) -> bytes:
    """`data`, the bytes of a GroupBatch, signed by `key` for `swarm`."""
    signature = key.sign(_message(key.peer_id, swarm, data))
    return b"".join(_LENGTH.pack(len(part)) + part for part in (key.public, signature)) + data


def unseal(raw: bytes, author: str, swarm: str) -> bytes:
    """The batch in `raw`, not looked at. Raises RecordError unless `author` signed it for `swarm`."""
    parts: list[bytes] = []
    rest = raw
    for _ in range(2):
        if len(rest) < _LENGTH.size:
            raise RecordError("bad_signature", "cut short")
        (length,) = _LENGTH.unpack_from(rest)
        if length > _MAX_PART or len(rest) < _LENGTH.size + length:
            raise RecordError("bad_signature", "length")
        parts.append(rest[_LENGTH.size : _LENGTH.size + length])
        rest = rest[_LENGTH.size + length :]
    if not verify(author, parts[0], parts[1], _message(author, swarm, rest)):
        raise RecordError("bad_signature")
    return rest
