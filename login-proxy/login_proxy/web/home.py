"""Pages `/` and `/live`: what the node does. Works with `view`."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site
from login_proxy.web.view import node_view
from login_proxy.web.visit import Visit


class HomePages:
    """The node at a glance."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            Route("GET", "/", Access.READER, self.home, nav="nav_node"),
            Route("GET", "/live", Access.READER, self.live),
            Route("GET", "/healthz", Access.ANYONE, self.healthz),
        ]

    async def home(self, visit: Visit) -> Response:
        """What the node does."""
        return self._site.render(visit, "node.html", node=await node_view(self._site.node))

    async def live(self, visit: Visit) -> Response:
        """The changing part of the home page, for its small script."""
        return self._site.render(visit, "live.html", node=await node_view(self._site.node))

    async def healthz(self, visit: Visit) -> Response:
        """The listener lives; says nothing about the node."""
        return JSONResponse({"live": True})
