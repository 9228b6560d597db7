"""Passkey routes, called by `static/passkey.js`: claim, sign in, confirm, add. Works with `access.passkeys`."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from pydantic import Field
from starlette.responses import JSONResponse, Response

from login_proxy.access import passkeys
from login_proxy.access.methods import Method
from login_proxy.access.tickets import MAX_TICKET_CHARS, BadTicket, Purpose
from login_proxy.texts import access as texts
from login_proxy.web.outcomes import PLACES, Outcomes, StepBody
from login_proxy.web.routes import Route
from login_proxy.web.site import Site, refuse
from login_proxy.web.visit import Visit


class PasskeyBody(StepBody):
    """The authenticator's answer to a challenge."""

    ticket: Annotated[str, Field(max_length=MAX_TICKET_CHARS)]
    credential: dict[str, Any]
    label: Annotated[str, Field(max_length=256)] = ""


class PasskeyRoutes:
    """Four purposes, two steps each."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node
        self._outcomes = Outcomes(site)

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            route
            for purpose, (base, access) in PLACES.items()
            for route in (
                Route("POST", f"{base}/passkey/options", access, partial(self.offer, purpose), body=StepBody),
                Route("POST", f"{base}/passkey", access, partial(self.answer, purpose), body=PasskeyBody),
            )
        ]

    async def offer(self, purpose: Purpose, visit: Visit) -> Response:
        """A challenge, if passkeys work under this origin."""
        body = await self._outcomes.opened(visit, purpose, StepBody)
        if isinstance(body, Response):
            return body
        here = self._site.offer(visit)
        if not here.passkey:
            return refuse(HTTPStatus.BAD_REQUEST, here.passkey_reason)
        if purpose in ("login", "confirm"):
            ticket = self._node.tickets.issue(purpose, visit.origin)
            options = passkeys.request_options(ticket, here.rp_id)
        else:
            ticket = self._node.tickets.issue(purpose, visit.origin, self._outcomes.user_handle().hex())
            options = passkeys.creation_options(ticket, here.rp_id, self._known())
        return JSONResponse({"ticket": ticket.text, "options": options})

    async def answer(self, purpose: Purpose, visit: Visit) -> Response:
        """Check what the authenticator says, and act on it."""
        body = await self._outcomes.opened(visit, purpose, PasskeyBody)
        if isinstance(body, Response):
            return body
        rp_id = self._site.offer(visit).rp_id
        try:
            ticket = self._node.tickets.check(body.ticket, purpose, visit.origin)
            if purpose in ("login", "confirm"):
                method, count = passkeys.proved_by(ticket, rp_id, body.credential, self._known())
                return self._outcomes.spend(visit, purpose, ticket) or self._outcomes.proved(
                    visit, purpose, method, count
                )
            made = passkeys.registered(ticket, rp_id, body.credential, body.label)
        except BadTicket as error:
            return self._outcomes.refused(visit, purpose, texts.BAD_TICKET, str(error))
        except passkeys.BadPasskey as error:
            return self._outcomes.refused(visit, purpose, texts.PASSKEY_WRONG, str(error))
        return self._outcomes.spend(visit, purpose, ticket) or await self._outcomes.registered(
            visit, purpose, made, texts.PASSKEY_KNOWN, bytes.fromhex(ticket.subject)
        )

    def _known(self) -> list[Method]:
        return [method for method in self._node.access.methods() if method.kind == "passkey"]
