"""A software authenticator (WebAuthn, ES256, no attestation) and a software wallet that answer as browsers do."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

USER_PRESENT, USER_VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40


def to_text(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


@dataclass
class Authenticator:
    """One resident key. `counter` rises with every answer."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    counter: int = 0
    flags: int = USER_PRESENT | USER_VERIFIED

    def create(self, options: dict[str, Any], origin: str) -> dict[str, Any]:
        """What `navigator.credentials.create` gives for `options`."""
        client = self._client("webauthn.create", options, origin)
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + self._cose()
        data = self._data(options["rp"]["id"], self.flags | HAS_CREDENTIAL) + attested
        attestation = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})
        return self._credential({"clientDataJSON": to_text(client), "attestationObject": to_text(attestation)})

    def get(self, options: dict[str, Any], origin: str) -> dict[str, Any]:
        """What `navigator.credentials.get` gives for `options`."""
        client = self._client("webauthn.get", options, origin)
        self.counter += 1
        data = self._data(options["rpId"], self.flags)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        return self._credential(
            {
                "clientDataJSON": to_text(client),
                "authenticatorData": to_text(data),
                "signature": to_text(signature),
                "userHandle": None,
            }
        )

    def _client(self, kind: str, options: dict[str, Any], origin: str) -> bytes:
        return json.dumps({"type": kind, "challenge": options["challenge"], "origin": origin}).encode()

    def _data(self, rp_id: str, flags: int) -> bytes:
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")

    def _cose(self) -> bytes:
        point = self.key.public_key().public_numbers()
        return cbor2.dumps({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        text = to_text(self.credential_id)
        return {"id": text, "rawId": text, "type": "public-key", "response": response}


@dataclass
class SoftWallet:
    """An account that signs messages as a browser wallet does (personal_sign)."""

    account: LocalAccount = field(default_factory=lambda: Account.create())

    @property
    def address(self) -> str:
        """With checksum."""
        return str(self.account.address)

    def sign(self, message: str) -> str:
        """The signature in hex."""
        signature = self.account.sign_message(encode_defunct(text=message)).signature.hex()
        return signature if signature.startswith("0x") else f"0x{signature}"
