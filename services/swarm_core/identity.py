"""Peer keys and ids as libp2p writes them, and the signature that binds a peer to an account.

A key file ("swarm.pem", not PEM) is the protobuf `PrivateKey{1: type, 2: data}`: RSA (type 0, PKCS#1 DER) as upstream
makes it, or Ed25519 (type 1, seed and public key). The id is the base58 multihash of the protobuf `PublicKey`.
Source: libp2p peer-ids specification; findings/dht.md 1c. Works without libp2p, so the login service can use it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from swarm_core.errors import SwarmError

_RSA, _ED25519 = 0, 1
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_MAX_KEY_BYTES = 16 * 1024
_MAX_RSA_BITS = 8192  # verifying a stranger's larger key would take long
MAX_PEER_ID_CHARS = 128


class KeyFormatError(SwarmError):
    """Bytes are not a libp2p key of a kind we know."""


@dataclass(frozen=True)
class PeerKey:
    """A private peer key. `public` is the libp2p protobuf PublicKey, `peer_id` the base58 id."""

    key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
    public: bytes
    peer_id: str

    def sign(self, message: bytes) -> bytes:
        """Signature by the peer key (RSA: PKCS#1 v1.5 with SHA-256, as libp2p)."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        return self.key.sign(message)


def generate_key() -> bytes:
    """A new RSA-2048 key in libp2p's protobuf form, as upstream's `swarm.pem`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    der = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return _message(_RSA, der)


def parse_key(data: bytes) -> PeerKey:
    """The key in `data`. Raises KeyFormatError that says what the bytes look like instead."""
    if not data:
        raise KeyFormatError("the key file is empty")
    if data.lstrip().startswith(b"-----BEGIN"):
        raise KeyFormatError("the key file is PEM text, not libp2p's binary form")
    kind, body = _parse(data)
    try:
        if kind == _RSA:
            key = serialization.load_der_private_key(body, password=None)
            if not isinstance(key, rsa.RSAPrivateKey):
                raise KeyFormatError("the key is not RSA as it claims")
            public = _message(_RSA, _spki(key.public_key()))
            return PeerKey(key, public, _peer_id(public))
        if kind == _ED25519:
            seed = ed25519.Ed25519PrivateKey.from_private_bytes(body[:32])
            public = _message(_ED25519, seed.public_key().public_bytes_raw())
            return PeerKey(seed, public, _peer_id(public))
    except (ValueError, TypeError) as error:
        raise KeyFormatError("the key inside the file is damaged") from error
    raise KeyFormatError(f"unknown key type {kind}")


def binding_message(peer_id: str, account: str, chain_id: int, contract: str) -> bytes:
    """What a peer signs so that `account` may register it on this contract; the fixed first line separates domains."""
    lines = ("rl-swarm peer binding v1", f"peer {peer_id}", f"account {account.lower()}", f"chain {chain_id}")
    return "\n".join((*lines, f"contract {contract.lower()}", "")).encode()


def sign_binding(key: PeerKey, account: str, chain_id: int, contract: str) -> bytes:
    """The peer's signature under `binding_message`."""
    return key.sign(binding_message(key.peer_id, account, chain_id, contract))


def verify_binding(peer_id: str, public: bytes, signature: bytes, account: str, chain_id: int, contract: str) -> bool:
    """Whether `public` is the key of `peer_id` and signed the binding."""
    return verify(peer_id, public, signature, binding_message(peer_id, account, chain_id, contract))


def judge_message(peer_id: str, audience: str, digest: str, issued_at: int, nonce: str) -> bytes:
    """What a peer signs to ask a judge: the swarm it is meant for, the SHA-256 of what is asked, when, and once."""
    lines = ("rl-swarm judge request v1", f"peer {peer_id}", f"audience {audience.lower()}", f"digest {digest}")
    return "\n".join((*lines, f"issued {issued_at}", f"nonce {nonce}", "")).encode()


def verify(peer_id: str, public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `public` (libp2p protobuf) is the key of `peer_id` and signed `message`."""
    try:
        if _peer_id(public) != peer_id:
            return False
        kind, body = _parse(public)
        if kind == _ED25519:
            ed25519.Ed25519PublicKey.from_public_bytes(body).verify(signature, message)
            return True
        key = serialization.load_der_public_key(body)
        if kind != _RSA or not isinstance(key, rsa.RSAPublicKey) or key.key_size > _MAX_RSA_BITS:
            return False
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, KeyFormatError, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def is_peer_id(text: str) -> bool:
    """Whether `text` has the form of a base58 peer id."""
    return 0 < len(text) <= MAX_PEER_ID_CHARS and all(letter in _ALPHABET for letter in text)


def _spki(key: rsa.RSAPublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _peer_id(public: bytes) -> str:
    # keys of up to 42 bytes are their own (identity) multihash, larger ones are hashed
    if len(public) <= 42:
        return _base58(b"\x00" + bytes([len(public)]) + public)
    return _base58(b"\x12\x20" + hashlib.sha256(public).digest())


def _base58(data: bytes) -> str:
    number = int.from_bytes(data, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\x00"))) + text


def _message(kind: int, body: bytes) -> bytes:
    return b"\x08" + bytes([kind]) + b"\x12" + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _parse(data: bytes) -> tuple[int, bytes]:
    """(type, data) of a key message; strict: exactly the two fields, in order, nothing after them."""
    if len(data) > _MAX_KEY_BYTES or len(data) < 5 or data[0] != 0x08 or data[2] != 0x12:
        raise KeyFormatError("the bytes are not a libp2p key")
    length, shift, position = 0, 0, 3
    while True:
        if position >= len(data) or shift > 21:
            raise KeyFormatError("the key is cut short")
        byte = data[position]
        length |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            break
    if len(data) - position != length:
        raise KeyFormatError("the key is cut short or has bytes after its end")
    return data[1], data[position:]
