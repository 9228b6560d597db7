"""Proves that a visit is the owner's: one function for each method, shared by signing in and confirming.

Works with `access`. A proof that fails says why to the visitor and, in other words, to the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from login_proxy.access.passwords import Busy
from login_proxy.texts import access as texts
from login_proxy.web.site import Site
from login_proxy.web.visit import Visit


@dataclass(frozen=True)
class Refusal:
    """Why a proof does not hold: `sentence` for the visitor, `why` for the audit log."""

    status: HTTPStatus
    sentence: str
    why: str


class Proofs:
    """Checks the owner's methods."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node

    def ways(self, visit: Visit) -> dict[str, Any]:
        """For templates: which methods the owner has, and what works under this origin."""
        offer = self._site.offer(visit)
        methods = self._node.access.methods()
        passkeys = [method for method in methods if method.kind == "passkey"]
        return {
            "offer": offer,
            "has_password": any(method.kind == "password" for method in methods),
            "has_wallet": any(method.kind == "wallet" for method in methods),
            "has_passkey": offer.passkey and any(method.what.rp_id == offer.rp_id for method in passkeys),
            "has_passkey_elsewhere": bool(passkeys),
        }

    async def password(self, visit: Visit) -> Refusal | None:
        """Whether the form holds the owner's password: None if so."""
        stored = self._node.access.password_hash()
        if stored is None:
            return Refusal(HTTPStatus.FORBIDDEN, texts.NO_PASSWORD, "no password is set")
        form = await visit.form()
        if form is None:
            return Refusal(HTTPStatus.BAD_REQUEST, texts.BAD_FORM, "no form")
        if (wait := self._node.limits.wait("password", visit.address)) > 0:
            sentence = texts.TOO_MANY.format(seconds=round(wait) + 1)
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, sentence, "too many passwords from this address")
        try:
            if await self._node.passwords.matches(stored, form.get("password", "")):
                self._used_password()
                return None
        except Busy:
            return Refusal(HTTPStatus.TOO_MANY_REQUESTS, texts.LOGIN_BUSY, "another password was being checked")
        return Refusal(HTTPStatus.FORBIDDEN, texts.LOGIN_WRONG, "wrong password")

    def _used_password(self) -> None:
        for method in self._node.access.methods():
            if method.kind == "password":
                self._node.access.used(method.id)
