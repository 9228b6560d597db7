"""Tickets: what the server said when it offered a challenge, signed and handed to the browser instead of remembered.

A flood of strangers who ask for challenges therefore costs no memory and drives out nobody's. A ticket is bound to its
purpose and origin, lives five minutes and is void after its first success; a restart voids all.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from swarm_core.errors import SwarmError

Purpose = Literal["claim", "login", "confirm", "add"]
VALID_SECONDS = 300.0
MAX_TICKET_CHARS = 2048
_NONCE_BYTES = 32


class BadTicket(SwarmError):
    """The ticket is not ours, for something else, too old, or was used before."""


@dataclass(frozen=True)
class Ticket:
    """What was offered. `nonce` is the WebAuthn challenge and, in hex, the nonce of EIP-4361."""

    text: str
    purpose: Purpose
    origin: str
    issued_at: float
    nonce: bytes
    subject: str


class Tickets:
    """Issues and checks tickets. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._spent: dict[bytes, float] = {}

    def issue(self, purpose: Purpose, origin: str, subject: str = "") -> Ticket:
        """A new ticket; `subject` is a wallet's address or a user handle in hex."""
        nonce, now = secrets.token_bytes(_NONCE_BYTES), self._clock()
        body = json.dumps({"p": purpose, "o": origin, "t": now, "n": nonce.hex(), "s": subject}).encode()
        text = f"{_encode(body)}.{_encode(self._mac(body))}"
        return Ticket(text, purpose, origin, now, nonce, subject)

    def check(self, text: str, purpose: Purpose, origin: str) -> Ticket:
        """The ticket in `text`, still unused. Raises BadTicket."""
        if len(text) > MAX_TICKET_CHARS:
            raise BadTicket("not a ticket")
        try:
            head, _, tail = text.partition(".")
            body, mac = _decode(head), _decode(tail)
        except ValueError as error:
            raise BadTicket("not a ticket") from error
        if not hmac.compare_digest(mac, self._mac(body)):
            raise BadTicket("not a ticket of this service's present run")
        fields: dict[str, Any] = json.loads(body)
        ticket = Ticket(text, fields["p"], fields["o"], fields["t"], bytes.fromhex(fields["n"]), fields["s"])
        if (ticket.purpose, ticket.origin) != (purpose, origin):
            raise BadTicket("a ticket for something else")
        if not 0 <= self._clock() - ticket.issued_at <= VALID_SECONDS:
            raise BadTicket("the ticket is too old")
        if ticket.nonce in self._spent:
            raise BadTicket("the ticket was used before")
        return ticket

    def spend(self, ticket: Ticket) -> None:
        """The ticket led to a success: it never does again. Raises BadTicket if it already had."""
        now = self._clock()
        if ticket.nonce in self._spent:
            raise BadTicket("the ticket was used before")
        self._spent = {nonce: at for nonce, at in self._spent.items() if now - at <= VALID_SECONDS}
        self._spent[ticket.nonce] = ticket.issued_at

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
