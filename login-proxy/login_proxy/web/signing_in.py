"""Pages `/login` and `/logout`: the owner comes and goes."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from login_proxy.web.proofs import Proofs
from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site, go
from login_proxy.web.visit import Visit


class SignInPages:
    """Signing in by each of the owner's methods, and signing out."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node
        self._proofs = Proofs(site)

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            Route("GET", "/login", Access.CLAIMED, self.show),
            Route("POST", "/login", Access.CLAIMED, self.with_password, form=("password",)),
            Route("POST", "/logout", Access.OWNER, self.logout),
        ]

    async def show(self, visit: Visit) -> Response:
        """Asks who is there."""
        return go("/") if visit.session is not None else self._page(visit)

    async def with_password(self, visit: Visit) -> Response:
        """Check the password and start a session."""
        refusal = await self._proofs.password(visit)
        if refusal is not None:
            self._node.audit.add("sign_in_refused", refusal.why, visit.address)
            return self._page(visit, refusal.status, refusal.sentence)
        self._node.audit.add("signed_in", "password", visit.address)
        return self._site.signed_in(visit, "password")

    async def logout(self, visit: Visit) -> Response:
        """End this session."""
        self._node.audit.add("signed_out", "", visit.address)
        return self._site.signed_out(visit)

    def _page(self, visit: Visit, status: HTTPStatus = HTTPStatus.OK, error: str = "") -> Response:
        return self._site.render(visit, "login.html", status, error=error, **self._proofs.ways(visit))
