"""Passkeys (WebAuthn level 3) over PyPI's `webauthn`: resident, with user verification, bound to one RP ID.

The challenge is the nonce of a `tickets.Ticket`. Attestation is not asked for: the owner trusts their own device.
"""

from __future__ import annotations

import json
from typing import Any

import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from login_proxy.access.methods import Method, NewMethod, clean_label
from login_proxy.access.tickets import Ticket
from swarm_core.errors import SwarmError

_RP_NAME = "RL Swarm node"
_USER_NAME = "owner"
_TIMEOUT_MS = 120_000
_MAX_CREDENTIAL_ID = 1023  # WebAuthn's bound
# what webauthn raises for what a stranger can send
_MALFORMED = (WebAuthnException, ValueError, TypeError, KeyError, AttributeError, IndexError)


class BadPasskey(SwarmError):
    """The authenticator's answer does not prove what it should."""


def creation_options(ticket: Ticket, rp_id: str, known: list[Method]) -> dict[str, Any]:
    """Options for `navigator.credentials.create`; an authenticator that holds one of `known` declines."""
    options = webauthn.generate_registration_options(
        rp_id=rp_id,
        rp_name=_RP_NAME,
        user_id=bytes.fromhex(ticket.subject),
        user_name=_USER_NAME,
        challenge=ticket.nonce,
        timeout=_TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(rp_id, known),
    )
    return dict(json.loads(webauthn.options_to_json(options)))


def request_options(ticket: Ticket, rp_id: str) -> dict[str, Any]:
    """Options for `navigator.credentials.get`; the browser offers what it has, no id is told to strangers."""
    options = webauthn.generate_authentication_options(
        rp_id=rp_id,
        challenge=ticket.nonce,
        timeout=_TIMEOUT_MS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return dict(json.loads(webauthn.options_to_json(options)))


def registered(ticket: Ticket, rp_id: str, credential: dict[str, Any], label: str) -> NewMethod:
    """The passkey that the authenticator made for `ticket`. Raises BadPasskey."""
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=ticket.nonce,
            expected_rp_id=rp_id,
            expected_origin=ticket.origin,
            require_user_verification=True,
        )
    except _MALFORMED as error:
        raise BadPasskey(f"{type(error).__name__}: {error}"[:200]) from error
    if len(made.credential_id) > _MAX_CREDENTIAL_ID:
        raise BadPasskey("the credential id is too long")
    return NewMethod(
        "passkey", clean_label(label), None, made.credential_id, made.credential_public_key, made.sign_count, rp_id
    )


def proved_by(ticket: Ticket, rp_id: str, credential: dict[str, Any], known: list[Method]) -> tuple[Method, int]:
    """Which of `known` answered `ticket`, and its new signature counter. Raises BadPasskey."""
    try:
        claimed_id = webauthn.base64url_to_bytes(str(credential.get("rawId", "")))
    except ValueError as error:
        raise BadPasskey("no credential id") from error
    for method in known:
        if method.what.credential_id == claimed_id and method.what.rp_id == rp_id and method.what.public_key:
            try:
                verified = webauthn.verify_authentication_response(
                    credential=credential,
                    expected_challenge=ticket.nonce,
                    expected_rp_id=rp_id,
                    expected_origin=ticket.origin,
                    credential_public_key=method.what.public_key,
                    credential_current_sign_count=method.what.sign_count,
                    require_user_verification=True,
                )
            except _MALFORMED as error:
                raise BadPasskey(f"{type(error).__name__}: {error}"[:200]) from error
            return method, verified.new_sign_count
    raise BadPasskey("unknown passkey")


def _descriptors(rp_id: str, known: list[Method]) -> list[PublicKeyCredentialDescriptor]:
    ids = [method.what.credential_id for method in known if method.what.rp_id == rp_id]
    return [PublicKeyCredentialDescriptor(id=credential_id) for credential_id in ids if credential_id is not None]
