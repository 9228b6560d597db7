"""Page `/confirm`: the owner proves once more who they are before export, reset and changes of the methods."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from login_proxy.web.proofs import Proofs
from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site, go
from login_proxy.web.visit import Visit


class ConfirmPages:
    """The step-up."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node
        self._proofs = Proofs(site)

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            Route("GET", "/confirm", Access.OWNER, self.show),
            Route("POST", "/confirm", Access.OWNER, self.with_password, form=("password",)),
        ]

    async def show(self, visit: Visit) -> Response:
        """Asks once more."""
        return self._page(visit)

    async def with_password(self, visit: Visit) -> Response:
        """Check the password; the session counts as proved for five minutes."""
        refusal = await self._proofs.password(visit)
        if refusal is not None:
            self._node.audit.add("confirm_refused", refusal.why, visit.address)
            return self._page(visit, refusal.status, refusal.sentence)
        self.confirmed(visit, "password")
        return go(self.next_page(visit))

    def confirmed(self, visit: Visit, method: str) -> None:
        """Remember the proof."""
        if visit.session is not None:
            self._node.sessions.prove(visit.session)
            self._node.audit.add("confirmed", method, visit.address)

    def next_page(self, visit: Visit) -> str:
        """Where the owner wanted to go: one of the pages, never anywhere else."""
        wanted = visit.request.query_params.get("next", "/")
        return wanted if wanted in {path for path, _ in self._site.navigation} else "/"

    def _page(self, visit: Visit, status: HTTPStatus = HTTPStatus.OK, error: str = "") -> Response:
        return self._site.render(
            visit, "confirm.html", status, error=error, next=self.next_page(visit), **self._proofs.ways(visit)
        )
