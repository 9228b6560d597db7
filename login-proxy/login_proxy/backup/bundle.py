"""The backup's format: one text that holds peer keys and account key, encrypted under a passphrase.

    -----BEGIN RL SWARM IDENTITY-----
    base64 of: magic | length of the header (u32) | header (JSON) | nonce (12 bytes) | ciphertext
    -----END RL SWARM IDENTITY-----

The key comes from the passphrase by argon2id (RFC 9106, second recommended parameters), the cipher is ChaCha20-Poly1305
(RFC 8439) with everything before the nonce as associated data: a header that was changed does not open. The header can
be read without the passphrase. What it asks of argon2id is bounded before any work is done. Extra peers of the same
account are in it by their slots; earlier versions, whose backups have none, read the rest. Left out on purpose:
sessions, passkeys, tokens, and the outbox, which must not replay on another machine.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from eth_account import Account

from swarm_core.errors import SwarmError
from swarm_core.identity import KeyFormatError, parse_key
from swarm_core.key_files import MAX_SLOTS

BEGIN, END = "-----BEGIN RL SWARM IDENTITY-----", "-----END RL SWARM IDENTITY-----"
MAX_TEXT_BYTES = 192 * 1024  # the node and 64 extra peers with RSA keys need 147 KiB
MIN_PASSPHRASE, MAX_PASSPHRASE = 10, 1024
_MAGIC = b"RLSWARM-IDENTITY\x00\x01"
_NONCE_BYTES, _SALT_BYTES, _KEY_BYTES = 12, 16, 32
_MEMORY_KIB, _PASSES, _LANES = 64 * 1024, 3, 4
# what a header may ask for: enough for later versions, too little to exhaust the service
_MEMORY_RANGE, _PASSES_RANGE, _LANES_RANGE = (8 * 1024, 128 * 1024), (1, 10), (1, 8)


class BundleError(SwarmError):
    """The text is no identity, or does not open. The message is a sentence for the operator."""


@dataclass(frozen=True)
class Identity:
    """What makes a node itself: `peer_key` (libp2p protobuf) and `account_key` (32 bytes); each may be absent.

    `extra_keys`: slot -> key of the extra peers under the same account.
    """

    peer_key: bytes | None
    account_key: bytes | None
    extra_keys: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def peer_id(self) -> str | None:
        """Id of the peer key. Raises KeyFormatError."""
        return parse_key(self.peer_key).peer_id if self.peer_key is not None else None

    @property
    def extra_peers(self) -> dict[int, str]:
        """slot -> peer id of the extra peers. Raises KeyFormatError."""
        return {slot: parse_key(key).peer_id for slot, key in self.extra_keys.items()}

    @property
    def account(self) -> str | None:
        """EIP-55 address of the account."""
        return str(Account.from_key(self.account_key).address) if self.account_key is not None else None

    def __repr__(self) -> str:
        return "Identity(...)"  # keys must not get into a log by way of a traceback


@dataclass(frozen=True)
class Header:
    """What a bundle tells about itself; only trustworthy after it was opened. `created_at` in Unix seconds."""

    created_at: int
    peer_id: str | None
    account: str | None
    chain_id: int
    contract: str
    extra_peers: dict[int, str] = field(default_factory=dict)


def seal(identity: Identity, passphrase: str, chain_id: int, contract: str) -> str:
    """The bundle of `identity`. Takes about 0.2 s and 64 MiB. Raises BundleError for a passphrase out of bounds."""
    _check_passphrase(passphrase)
    salt = secrets.token_bytes(_SALT_BYTES)
    header = {
        "version": 1, "created_at": int(time.time()), "peer_id": identity.peer_id, "account": identity.account,
        "chain_id": chain_id, "contract": contract,
        "extra_peers": {str(slot): peer for slot, peer in identity.extra_peers.items()},
        "kdf": {"name": "argon2id", "memory_kib": _MEMORY_KIB, "passes": _PASSES, "lanes": _LANES, "salt": salt.hex()},
        "cipher": "chacha20-poly1305",
    }  # fmt: skip
    encoded = json.dumps(header, separators=(",", ":")).encode()
    bound = _MAGIC + struct.pack(">I", len(encoded)) + encoded
    keys = {
        "peer_key": base64.b64encode(identity.peer_key).decode() if identity.peer_key is not None else None,
        "account_key": identity.account_key.hex() if identity.account_key is not None else None,
        "extra_keys": {str(slot): base64.b64encode(key).decode() for slot, key in identity.extra_keys.items()},
    }
    nonce = secrets.token_bytes(_NONCE_BYTES)
    cipher = ChaCha20Poly1305(_key(passphrase, salt, _MEMORY_KIB, _PASSES, _LANES))
    sealed = bound + nonce + cipher.encrypt(nonce, json.dumps(keys).encode(), bound)
    text = base64.b64encode(sealed).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join([BEGIN, *lines, END, ""])


def describe(text: str) -> Header:
    """The header of a bundle, not verified. Raises BundleError."""
    header = _split(text)[1]
    try:
        return Header(
            int(header["created_at"]), _text(header["peer_id"]), _text(header["account"]), int(header["chain_id"]),
            str(header["contract"]), {int(slot): str(peer) for slot, peer in header.get("extra_peers", {}).items()},
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError("The backup is damaged: its header is incomplete.") from error


def unseal(text: str, passphrase: str) -> Identity:
    """The identity in a bundle. Takes about 0.2 s and 64 MiB. Raises BundleError."""
    bound, header, rest = _split(text)
    nonce, sealed = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
    key = _key(passphrase, *_parameters(header))
    try:
        keys = json.loads(ChaCha20Poly1305(key).decrypt(nonce, sealed, bound))
        peer, account = keys["peer_key"], keys["account_key"]
        identity = Identity(
            base64.b64decode(peer, validate=True) if peer is not None else None,
            bytes.fromhex(account) if account is not None else None,
            {int(slot): base64.b64decode(key, validate=True) for slot, key in keys.get("extra_keys", {}).items()},
        )
    except InvalidTag as error:
        raise BundleError("The passphrase is wrong, or the backup was damaged.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError("The backup is damaged inside.") from error
    return checked(identity)


def bare_key(data: bytes) -> Identity:
    """An identity of a peer key alone: upstream's `swarm.pem`. Raises BundleError."""
    return checked(Identity(data, None))


def private_key(text: str) -> Identity:
    """An identity of an account alone: its private key as 64 hexadecimal digits. Raises BundleError."""
    digits = text.strip().removeprefix("0x")
    if len(digits) != 2 * _KEY_BYTES:
        raise BundleError("A private key has 64 hexadecimal digits.")
    try:
        return checked(Identity(None, bytes.fromhex(digits)))
    except ValueError as error:
        raise BundleError("A private key has 64 hexadecimal digits.") from error


def read_text(text: str, passphrase: str) -> Identity:
    """What an operator pastes or uploads: a bundle, or the base64 of a bare `swarm.pem`. Raises BundleError."""
    if BEGIN in text:
        return unseal(text, passphrase)
    if len(text) > MAX_TEXT_BYTES:
        raise BundleError("This is longer than any backup.")
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BundleError("This is neither a backup nor a swarm.pem in base64.") from error
    return bare_key(data)


def checked(identity: Identity) -> Identity:
    """The identity if its keys are keys. Raises BundleError."""
    try:
        if identity.peer_id is None and identity.account is None:
            raise BundleError("The backup holds no key.")
        if not all(1 <= slot <= MAX_SLOTS for slot in identity.extra_keys):
            raise BundleError("The backup names an extra peer that cannot be.")
        peers = [identity.peer_id, *identity.extra_peers.values()]
        if len(set(peers)) != len(peers):
            raise BundleError("The backup holds one peer twice.")
    except KeyFormatError as error:
        raise BundleError(f"The peer key is unusable: {error}.") from error
    except (ValueError, TypeError) as error:
        raise BundleError("The account's key is not a private key.") from error
    return identity


def _split(text: str) -> tuple[bytes, dict[str, Any], bytes]:
    """(associated data, header, nonce and ciphertext)."""
    if len(text) > MAX_TEXT_BYTES:
        raise BundleError("This is longer than any backup.")
    start, end = text.find(BEGIN), text.find(END)
    if start < 0 or end < start:
        raise BundleError(f"This is no backup, or it is cut short: it begins with {BEGIN} and ends with {END}.")
    try:
        data = base64.b64decode("".join(text[start + len(BEGIN) : end].split()), validate=True)
        if not data.startswith(_MAGIC):
            raise BundleError("This backup has a format that this version does not know.")
        (length,) = struct.unpack_from(">I", data, len(_MAGIC))
        cut = len(_MAGIC) + 4 + length
        header = json.loads(data[len(_MAGIC) + 4 : cut])
    except (binascii.Error, struct.error, ValueError, RecursionError) as error:
        raise BundleError("The backup is damaged.") from error
    if not isinstance(header, dict) or len(data) <= cut + _NONCE_BYTES:
        raise BundleError("The backup is damaged or cut short.")
    if header.get("version") != 1 or header.get("cipher") != "chacha20-poly1305":
        raise BundleError("This backup was written by a newer version.")
    return data[:cut], header, data[cut:]


def _parameters(header: dict[str, Any]) -> tuple[bytes, int, int, int]:
    kdf = header.get("kdf")
    try:
        if not isinstance(kdf, dict) or kdf["name"] != "argon2id":
            raise ValueError("another key derivation")
        numbers = (kdf["memory_kib"], kdf["passes"], kdf["lanes"])
        for number, (least, most) in zip(numbers, (_MEMORY_RANGE, _PASSES_RANGE, _LANES_RANGE), strict=True):
            if type(number) is not int or not least <= number <= most:
                raise ValueError("out of bounds")
        salt = bytes.fromhex(kdf["salt"])
        if not _SALT_BYTES <= len(salt) <= 64:
            raise ValueError("salt")
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError("The backup asks for a key derivation that is not accepted.") from error
    return salt, *numbers


def _key(passphrase: str, salt: bytes, memory_kib: int, passes: int, lanes: int) -> bytes:
    if len(passphrase) > MAX_PASSPHRASE:
        raise BundleError(f"A passphrase has at most {MAX_PASSPHRASE} characters.")
    return hash_secret_raw(passphrase.encode(), salt, passes, memory_kib, lanes, _KEY_BYTES, Type.ID)


def _check_passphrase(passphrase: str) -> None:
    if not MIN_PASSPHRASE <= len(passphrase) <= MAX_PASSPHRASE:
        raise BundleError(f"The passphrase needs {MIN_PASSPHRASE} to {MAX_PASSPHRASE} characters.")


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
