"""Peer keys in libp2p's form, and signatures that bind one peer to one account on one contract and to nothing else."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from swarm_core import identity
from swarm_core.identity import KeyFormatError, PeerKey

ACCOUNT = "0x00000000000000000000000000000000000000Aa"
CONTRACT = "0x00000000000000000000000000000000000000Cc"
CHAIN = 53855
SEED = bytes(range(32))


def ed25519_file() -> bytes:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(SEED)
    body = SEED + key.public_key().public_bytes_raw()
    return b"\x08\x01\x12" + bytes([len(body)]) + body


@pytest.fixture(scope="module")
def rsa_file() -> bytes:
    return identity.generate_key()


@pytest.fixture(params=["rsa", "ed25519"])
def key(request: pytest.FixtureRequest, rsa_file: bytes) -> PeerKey:
    return identity.parse_key(rsa_file if request.param == "rsa" else ed25519_file())


def test_a_new_key_is_rsa_2048_with_a_qm_id(rsa_file: bytes) -> None:
    key = identity.parse_key(rsa_file)
    assert isinstance(key.key, rsa.RSAPrivateKey)
    assert key.key.key_size == 2048
    assert key.peer_id.startswith("Qm")
    assert len(key.peer_id) == 46
    assert identity.generate_key() != rsa_file


def test_an_ed25519_id_is_known() -> None:
    # the example key pair of the libp2p peer-ids specification
    data = bytes.fromhex(
        "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c"
        "3cacf6010f0e42d474fce27e"
    )
    key = identity.parse_key(data)
    assert key.public.hex() == "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e"
    assert key.peer_id.startswith("12D3KooW")
    assert len(key.peer_id) == 52


def test_the_public_key_follows_from_the_seed() -> None:
    raw = ed25519.Ed25519PrivateKey.from_private_bytes(SEED).public_key().public_bytes_raw()
    assert identity.parse_key(ed25519_file()).public == b"\x08\x01\x12\x20" + raw


BAD_FILES = {
    "empty": (b"", "empty"),
    "PEM": (b"-----BEGIN RSA PRIVATE KEY-----\nabc\n", "PEM text"),
    "PEM after blank lines": (b"\n\n-----BEGIN PRIVATE KEY-----", "PEM text"),
    "text": (b"hello world", "not a libp2p key"),
    "one byte": (b"\x08", "not a libp2p key"),
    "no body": (b"\x08\x00\x12\x05", "not a libp2p key"),
    "cut short": (ed25519_file()[:-1], "cut short"),
    "bytes after the end": (ed25519_file() + b"\x00", "after its end"),
    "length without end": (b"\x08\x01\x12\xff\xff\xff\xff\xff\xff", "cut short"),
    "length cut": (b"\x08\x01\x12\xff\xff", "cut short"),
    "unknown type": (b"\x08\x05" + ed25519_file()[2:], "unknown key type 5"),
    "too large": (b"\x08\x00\x12" + b"\x00" * 17_000, "not a libp2p key"),
    "damaged RSA": (b"\x08\x00\x12\x10" + b"\x30" * 16, "damaged"),
    "short seed": (b"\x08\x01\x12\x05" + b"\x01" * 5, "damaged"),
}


@pytest.mark.parametrize(("data", "words"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_told_from_the_others(data: bytes, words: str) -> None:
    with pytest.raises(KeyFormatError, match=words):
        identity.parse_key(data)


def test_a_key_of_another_kind_than_it_claims() -> None:
    der = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    with pytest.raises(KeyFormatError, match="not RSA"):
        identity.parse_key(b"\x08\x00\x12" + bytes([len(der)]) + der)


@given(st.binary(max_size=200))
def test_random_bytes_raise_only_key_format_error(data: bytes) -> None:
    with pytest.raises(KeyFormatError):
        identity.parse_key(data)


@given(st.integers(0, 67), st.integers(0, 255))
def test_one_changed_byte_of_a_key_never_crashes(position: int, value: int) -> None:
    data = bytearray(ed25519_file())
    data[position] = value
    try:
        key = identity.parse_key(bytes(data))
    except KeyFormatError:
        return
    assert identity.is_peer_id(key.peer_id)


def test_a_binding_verifies(key: PeerKey) -> None:
    signature = identity.sign_binding(key, ACCOUNT, CHAIN, CONTRACT)
    assert identity.verify_binding(key.peer_id, key.public, signature, ACCOUNT, CHAIN, CONTRACT)
    assert identity.verify_binding(key.peer_id, key.public, signature, ACCOUNT.lower(), CHAIN, CONTRACT.upper())


def test_a_binding_holds_for_nothing_else(key: PeerKey) -> None:
    signature = identity.sign_binding(key, ACCOUNT, CHAIN, CONTRACT)
    other = identity.parse_key(identity.generate_key())
    other_account = "0x00000000000000000000000000000000000000Ab"
    cases = {
        "account": (key.peer_id, key.public, signature, other_account, CHAIN, CONTRACT),
        "chain": (key.peer_id, key.public, signature, ACCOUNT, CHAIN + 1, CONTRACT),
        "contract": (key.peer_id, key.public, signature, ACCOUNT, CHAIN, ACCOUNT),
        "peer": (other.peer_id, key.public, signature, ACCOUNT, CHAIN, CONTRACT),
        "key": (key.peer_id, other.public, signature, ACCOUNT, CHAIN, CONTRACT),
        "peer and key": (other.peer_id, other.public, signature, ACCOUNT, CHAIN, CONTRACT),
        "signature": (key.peer_id, key.public, bytes(len(signature)), ACCOUNT, CHAIN, CONTRACT),
        "no signature": (key.peer_id, key.public, b"", ACCOUNT, CHAIN, CONTRACT),
        "no key": (key.peer_id, b"", signature, ACCOUNT, CHAIN, CONTRACT),
    }
    assert [name for name, case in cases.items() if identity.verify_binding(*case)] == []


def test_a_signature_of_another_domain_is_no_binding(key: PeerKey) -> None:
    lines = identity.binding_message(key.peer_id, ACCOUNT, CHAIN, CONTRACT).split(b"\n", 1)
    other_domain = b"rl-swarm rollout v1\n" + lines[1]
    assert not identity.verify_binding(key.peer_id, key.public, key.sign(other_domain), ACCOUNT, CHAIN, CONTRACT)


def test_the_message_starts_with_its_domain_and_cannot_be_shifted() -> None:
    text = identity.binding_message("QmX", ACCOUNT, CHAIN, CONTRACT).decode()
    assert text == (
        "rl-swarm peer binding v1\npeer QmX\naccount 0x00000000000000000000000000000000000000aa\n"
        "chain 53855\ncontract 0x00000000000000000000000000000000000000cc\n"
    )


def test_a_public_key_of_an_unknown_kind_is_no_binding() -> None:
    public = b"\x08\x02\x12\x20" + bytes(32)
    peer_id = identity._peer_id(public)
    assert not identity.verify_binding(peer_id, public, b"x" * 64, ACCOUNT, CHAIN, CONTRACT)


def test_an_rsa_body_that_claims_to_be_another_kind(rsa_file: bytes) -> None:
    key = identity.parse_key(rsa_file)
    public = b"\x08\x03" + key.public[2:]
    signature = key.sign(identity.binding_message(identity._peer_id(public), ACCOUNT, CHAIN, CONTRACT))
    assert not identity.verify_binding(identity._peer_id(public), public, signature, ACCOUNT, CHAIN, CONTRACT)


def test_keys_of_up_to_42_bytes_are_their_own_id() -> None:
    for size, prefix in ((42, b"\x00\x2a"), (43, b"\x12\x20")):
        public = bytes([7]) * size
        payload = public if size == 42 else hashlib.sha256(public).digest()
        assert identity._peer_id(public) == identity._base58(prefix + payload)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"\x00", "1"),
        (b"\x00\x00\x01", "112"),
        (b"hello world", "StV1DL6CwTryKyV"),
        (b"\x39", "z"),
        (b"\x3a", "21"),
    ],
)
def test_base58(data: bytes, text: str) -> None:
    assert identity._base58(data) == text


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", True),
        ("z", True),
        ("z" * 128, True),
        ("z" * 129, False),
        ("", False),
        ("Qm0", False),
        ("QmO", False),
        ("QmI", False),
        ("Qml", False),
        ("Qm x", False),
        ("Qm\n", False),
        ("Qmé", False),
    ],
)
def test_the_form_of_a_peer_id(text: str, valid: bool) -> None:
    assert identity.is_peer_id(text) is valid
