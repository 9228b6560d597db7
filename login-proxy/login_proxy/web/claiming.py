"""Page `/claim`: who has the setup token from the log becomes the owner, once. Works with `proofs`."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from login_proxy.access.methods import NewMethod
from login_proxy.access.passwords import Busy, is_acceptable
from login_proxy.texts import access as texts
from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site, go
from login_proxy.web.visit import Visit


class ClaimPages:
    """The claim and its ways."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            Route("GET", "/claim", Access.UNCLAIMED, self.show),
            Route("POST", "/claim", Access.UNCLAIMED, self.with_password, form=("token", "password", "password_again")),
        ]

    async def show(self, visit: Visit) -> Response:
        """Asks for the setup token and a way to sign in."""
        return go("/") if self._site.open_to_read else self._page(visit)

    async def with_password(self, visit: Visit) -> Response:
        """Make whoever has the setup token the owner."""
        if self._site.open_to_read:
            return go("/")
        form = await visit.form()
        if form is None:
            return self._page(visit, HTTPStatus.BAD_REQUEST, texts.BAD_FORM)
        if (wait := self._node.limits.wait("claim", visit.address)) > 0:
            return self._page(visit, HTTPStatus.TOO_MANY_REQUESTS, texts.TOO_MANY.format(seconds=round(wait) + 1))
        password = form.get("password", "")
        if not self._node.setup_token.matches(form.get("token", "")):
            self._node.audit.add("claim_refused", "wrong setup token", visit.address)
            return self._page(visit, HTTPStatus.FORBIDDEN, texts.CLAIM_REFUSED)
        if not is_acceptable(password):
            return self._page(visit, HTTPStatus.BAD_REQUEST, texts.TOO_SHORT)
        if password != form.get("password_again", ""):
            return self._page(visit, HTTPStatus.BAD_REQUEST, texts.CLAIM_MISMATCH)
        try:
            hashed = await self._node.passwords.hash(password)
        except Busy:
            return self._page(visit, HTTPStatus.TOO_MANY_REQUESTS, texts.LOGIN_BUSY)
        if not await self._node.claim(NewMethod("password", secret=hashed), visit.address):
            return go("/login")
        return self._site.signed_in(visit, "password")

    def _page(self, visit: Visit, status: HTTPStatus = HTTPStatus.OK, error: str = "") -> Response:
        return self._site.render(visit, "claim.html", status, error=error, offer=self._site.offer(visit))
