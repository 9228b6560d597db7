"""A way in which the owner signs in: a password, a passkey or a wallet. Works with `access.store`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MethodKind = Literal["password", "passkey", "wallet"]
MAX_LABEL_CHARS = 60
MAX_METHODS = 20


@dataclass(frozen=True)
class NewMethod:
    """What is stored of a method.

    `secret` is the argon2id hash of a password or the checksummed address of a wallet. A passkey has its credential
    id, its COSE public key, its signature counter and the RP ID that it is bound to.
    """

    kind: MethodKind
    label: str = ""
    secret: str | None = None
    credential_id: bytes | None = None
    public_key: bytes | None = None
    sign_count: int = 0
    rp_id: str | None = None


@dataclass(frozen=True)
class Method:
    """A stored method. Times are Unix seconds."""

    id: int
    what: NewMethod
    created_at: float
    used_at: float | None

    @property
    def kind(self) -> MethodKind:
        """password, passkey or wallet."""
        return self.what.kind


def clean_label(text: str) -> str:
    """A name that the owner gave, printable and short."""
    return "".join(c for c in text if c.isprintable()).strip()[:MAX_LABEL_CHARS]
