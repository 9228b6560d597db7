"""Wallet routes, called by `static/wallet.js`: claim, sign in, confirm, add. Works with `access.wallets`."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated

from pydantic import Field
from starlette.responses import JSONResponse, Response

from login_proxy.access import wallets
from login_proxy.access.methods import NewMethod
from login_proxy.access.tickets import MAX_TICKET_CHARS, BadTicket, Purpose
from login_proxy.texts import access as texts
from login_proxy.web.outcomes import PLACES, Outcomes, StepBody
from login_proxy.web.routes import Route
from login_proxy.web.site import Site, refuse
from login_proxy.web.visit import Visit


class AddressBody(StepBody):
    """Ask for a message to sign; a claim brings the setup token."""

    address: Annotated[str, Field(max_length=64)]


class SignatureBody(StepBody):
    """The signature of the message that belongs to the ticket."""

    ticket: Annotated[str, Field(max_length=MAX_TICKET_CHARS)]
    signature: Annotated[str, Field(max_length=256)]


class WalletRoutes:
    """Four purposes, two steps each."""

    def __init__(self, site: Site) -> None:
        self._node = site.node
        self._outcomes = Outcomes(site)

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            route
            for purpose, (base, access) in PLACES.items()
            for route in (
                Route("POST", f"{base}/wallet/message", access, partial(self.offer, purpose), body=AddressBody),
                Route("POST", f"{base}/wallet", access, partial(self.answer, purpose), body=SignatureBody),
            )
        ]

    async def offer(self, purpose: Purpose, visit: Visit) -> Response:
        """The message to sign. Whether the wallet may sign in is not told before it signed."""
        body = await self._outcomes.opened(visit, purpose, AddressBody)
        if isinstance(body, Response):
            return body
        try:
            address = wallets.checked_address(body.address)
        except wallets.BadWallet:
            return refuse(HTTPStatus.BAD_REQUEST, texts.WALLET_ADDRESS)
        ticket = self._node.tickets.issue(purpose, visit.origin, address)
        return JSONResponse({"ticket": ticket.text, "message": wallets.message_of(ticket, self._chain_id())})

    async def answer(self, purpose: Purpose, visit: Visit) -> Response:
        """Check the signature, and act on it."""
        body = await self._outcomes.opened(visit, purpose, SignatureBody)
        if isinstance(body, Response):
            return body
        try:
            ticket = self._node.tickets.check(body.ticket, purpose, visit.origin)
            address = wallets.check_signature(ticket, self._chain_id(), body.signature)
        except BadTicket as error:
            return self._outcomes.refused(visit, purpose, texts.BAD_TICKET, str(error))
        except wallets.BadWallet as error:
            return self._outcomes.refused(visit, purpose, texts.WALLET_WRONG, str(error))
        if purpose in ("claim", "add"):
            return self._outcomes.spend(visit, purpose, ticket) or await self._outcomes.registered(
                visit, purpose, NewMethod("wallet", secret=address), texts.WALLET_KNOWN
            )
        for method in self._node.access.methods():
            if method.kind == "wallet" and method.what.secret == address:
                return self._outcomes.spend(visit, purpose, ticket) or self._outcomes.proved(visit, purpose, method)
        return self._outcomes.refused(visit, purpose, texts.WALLET_WRONG, "a wallet that may not sign in")

    def _chain_id(self) -> int:
        return self._node.store.target.chain_id
