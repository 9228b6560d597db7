"""Our peer ids are libp2p's: the same key file gives the same id here and in hivemind."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hivemind.p2p.p2p_daemon_bindings.datastructures import PeerID

from swarm_core import identity


@pytest.mark.parametrize("number", range(3))
def test_rsa(number: int) -> None:
    data = identity.generate_key()
    assert identity.parse_key(data).peer_id == PeerID.from_identity(data).to_base58()


def test_ids_are_in_the_alphabet_that_we_accept() -> None:
    peer_id = PeerID.from_identity(identity.generate_key()).to_base58()
    assert identity.is_peer_id(peer_id)
    assert PeerID.from_base58(peer_id).to_base58() == peer_id


def test_an_ed25519_id_is_one_for_hivemind_too() -> None:
    seed = bytes(range(32))
    body = seed + ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    key = identity.parse_key(b"\x08\x01\x12" + bytes([len(body)]) + body)
    assert PeerID.from_base58(key.peer_id).to_base58() == key.peer_id
    # an identity multihash holds the public key itself
    assert PeerID.from_base58(key.peer_id).to_bytes() == b"\x00" + bytes([len(key.public)]) + key.public
