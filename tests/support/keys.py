"""Peer keys made in no time: Ed25519 in libp2p's form, where a test does not care for RSA."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def quick_key(number: int) -> bytes:
    """A peer key, always the same for a number."""
    seed = number.to_bytes(32, "big")
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return b"\x08\x01\x12\x40" + seed + public
