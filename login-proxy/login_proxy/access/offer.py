"""Which ways to sign in a browser can use under an origin, and the reason for those it cannot: pure.

A passkey belongs to a name (its RP ID). An IP address can never be one, and browsers refuse WebAuthn on pages whose
certificate they do not trust; localhost is exempt from both.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from login_proxy.texts import access as texts


@dataclass(frozen=True)
class Offer:
    """What works here. `passkey_reason` is a sentence when a passkey does not; `rp_id` is what it belongs to."""

    rp_id: str
    passkey: bool
    passkey_reason: str = ""


def offer(origin: str, *, self_signed: bool) -> Offer:
    """What works under `origin`; `self_signed`: its TLS certificate is our own."""
    parts = urlsplit(origin)
    name = parts.hostname or ""
    if name == "localhost":
        return Offer(name, passkey=True)
    if _is_address(name):
        return Offer(name, passkey=False, passkey_reason=texts.NO_PASSKEY_ADDRESS)
    if parts.scheme != "https":
        return Offer(name, passkey=False, passkey_reason=texts.NO_PASSKEY_PLAIN)
    if self_signed:
        return Offer(name, passkey=False, passkey_reason=texts.NO_PASSKEY_CERTIFICATE)
    return Offer(name, passkey=True)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
