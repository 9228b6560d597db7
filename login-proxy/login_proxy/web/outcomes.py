"""How each step of a proof begins, what a good one leads to, for each purpose, and how a bad one is told.

Works with the passkey and wallet routes.
"""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from login_proxy.access.audit import Event
from login_proxy.access.limits import Limit
from login_proxy.access.methods import Method, NewMethod
from login_proxy.access.store import USER_HANDLE_BYTES
from login_proxy.access.tickets import BadTicket, Purpose, Ticket
from login_proxy.texts import access as texts
from login_proxy.web.routes import Access
from login_proxy.web.site import Site, refuse
from login_proxy.web.visit import Visit

# where the routes of a purpose are, and who may call them
PLACES: dict[Purpose, tuple[str, Access]] = {
    "claim": ("/claim", Access.UNCLAIMED),
    "login": ("/login", Access.CLAIMED),
    "confirm": ("/confirm", Access.OWNER),
    "add": ("/security", Access.PROVED),
}
_REFUSED: dict[Purpose, Event] = {
    "claim": "claim_refused",
    "login": "sign_in_refused",
    "confirm": "confirm_refused",
    "add": "confirm_refused",
}


class StepBody(BaseModel):
    """What a script sends in a step of a proof; a claim brings the setup token."""

    model_config = ConfigDict(strict=True)
    token: Annotated[str, Field(max_length=128)] = ""


B = TypeVar("B", bound=StepBody)


class Outcomes:
    """Begins and ends a proof."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node

    async def opened(self, visit: Visit, purpose: Purpose, model: type[B]) -> B | Response:
        """The body of a step; the refusal when there were too many, it is malformed, or a claim lacks the token."""
        limit: Limit = "claim" if purpose == "claim" else "proof"
        if (wait := self._node.limits.wait(limit, visit.address)) > 0:
            return refuse(HTTPStatus.TOO_MANY_REQUESTS, texts.TOO_MANY.format(seconds=round(wait) + 1))
        body = await visit.json(model)
        if body is None:
            return refuse(HTTPStatus.BAD_REQUEST, texts.BAD_FORM)
        if purpose == "claim" and (self._site.open_to_read or not self._node.setup_token.matches(body.token)):
            return self.refused(visit, purpose, texts.CLAIM_REFUSED, "wrong setup token")
        return body

    def refused(self, visit: Visit, purpose: Purpose, sentence: str, why: str) -> Response:
        """403, told to the audit log."""
        self._node.audit.add(_REFUSED[purpose], why, visit.address)
        return refuse(HTTPStatus.FORBIDDEN, sentence)

    def user_handle(self) -> bytes:
        """The owner's WebAuthn user id, or one for whoever becomes the owner."""
        return self._node.access.user_handle() or secrets.token_bytes(USER_HANDLE_BYTES)

    def spend(self, visit: Visit, purpose: Purpose, ticket: Ticket) -> Response | None:
        """Void the ticket; the refusal when somebody was faster."""
        try:
            self._node.tickets.spend(ticket)
        except BadTicket as error:
            return self.refused(visit, purpose, texts.BAD_TICKET, str(error))
        return None

    async def registered(
        self, visit: Visit, purpose: Purpose, method: NewMethod, known: str, user_handle: bytes | None = None
    ) -> Response:
        """A new method: the claim, or one more way in. `known` is the sentence when it cannot be added."""
        if purpose == "claim":
            if not await self._node.claim(method, visit.address, user_handle):
                return refuse(HTTPStatus.CONFLICT, texts.CLAIM_TAKEN, next="/login")
            return self._site.signed_in(visit, method.kind, machine=True)
        if not self._node.access.add(method):
            return refuse(HTTPStatus.CONFLICT, known)
        self._node.audit.add("method_added", f"{method.kind} {method.secret or method.label}".strip(), visit.address)
        return JSONResponse({"next": "/security"})

    def proved(self, visit: Visit, purpose: Purpose, method: Method, sign_count: int = 0) -> Response:
        """A known method: sign in, or confirm."""
        self._node.access.used(method.id, sign_count)
        if purpose == "confirm" and visit.session is not None:
            self._node.sessions.prove(visit.session)
            self._node.audit.add("confirmed", method.kind, visit.address)
            return JSONResponse({"next": "/"})
        self._node.audit.add("signed_in", method.kind, visit.address)
        return self._site.signed_in(visit, method.kind, machine=True)
