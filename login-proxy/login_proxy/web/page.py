"""The page: puts the page modules together and lets each route be called only by whom its access admits.

Server-rendered; works without JavaScript for the password and for reading. `access.guards` stands in front of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response

from login_proxy.node import LoginNode
from login_proxy.texts import access as texts
from login_proxy.web.backup import BackupPages
from login_proxy.web.claiming import ClaimPages
from login_proxy.web.confirming import ConfirmPages
from login_proxy.web.home import HomePages
from login_proxy.web.identity import IdentityPages
from login_proxy.web.market import MarketPages
from login_proxy.web.outbox import OutboxPages
from login_proxy.web.passkeys import PasskeyRoutes
from login_proxy.web.routes import Access, Route
from login_proxy.web.security import SecurityPages
from login_proxy.web.settings_page import SettingsPages
from login_proxy.web.signing_in import SignInPages
from login_proxy.web.site import Site, go, refuse
from login_proxy.web.visit import Visit, visit_of
from login_proxy.web.wallets import WalletRoutes


class PageModule(Protocol):
    """A part of the page: it says who may call which of its handlers."""

    def routes(self) -> list[Route]:
        """The part's rows of the table."""


class Page:
    """Every route of the public listeners; `table` is who may call what."""

    def __init__(self, node: LoginNode) -> None:
        self._node = node
        self._site = Site(node)
        modules: list[PageModule] = [
            HomePages(self._site),
            ClaimPages(self._site),
            SignInPages(self._site),
            ConfirmPages(self._site),
            PasskeyRoutes(self._site),
            WalletRoutes(self._site),
            IdentityPages(self._site),
            OutboxPages(self._site),
            MarketPages(self._site),
            BackupPages(self._site),
            SettingsPages(self._site),
            SecurityPages(self._site),
        ]
        self.table: list[Route] = [route for module in modules for route in module.routes()]
        self._site.navigation = [(route.path, route.nav) for route in self.table if route.nav]

    def app(self) -> FastAPI:
        """The ASGI app, without guards."""
        app = FastAPI(title="RL Swarm node", docs_url=None, redoc_url=None, openapi_url=None)
        for route in self.table:
            app.add_api_route(
                route.path, self._endpoint(route), methods=[route.method], openapi_extra=route.openapi(),
                name=f"{route.method} {route.path}", response_class=Response,
            )  # fmt: skip
        static = Path(str(files("login_proxy").joinpath("web/static")))
        app.mount("/static", StaticFiles(directory=static), name="static")
        return app

    def _endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            visit = visit_of(request, self._node.sessions)
            return self._not_admitted(route, visit) or await route.handler(visit)

        return endpoint

    def _not_admitted(self, route: Route, visit: Visit) -> Response | None:
        """The answer instead of the route's, None if the visit may go on."""
        claimed = self._node.claimed
        match route.access:
            case Access.ANYONE:
                return None
            case Access.UNCLAIMED:
                return self._elsewhere(route, "/login", HTTPStatus.CONFLICT, texts.ALREADY_CLAIMED) if claimed else None
            case Access.CLAIMED:
                unclaimed = "/" if self._site.open_to_read else "/claim"
                return None if claimed else self._elsewhere(route, unclaimed, HTTPStatus.CONFLICT, texts.NOT_CLAIMED)
            case Access.READER if self._site.open_to_read:
                return None
        if visit.session is None:
            return self._elsewhere(
                route, "/login" if claimed else "/claim", HTTPStatus.UNAUTHORIZED, texts.SIGN_IN_FIRST
            )
        if route.access is Access.PROVED and not visit.session.proved:
            page = route.path if route.method == "GET" else self._page_of(visit)
            return self._elsewhere(route, f"/confirm?next={page}", HTTPStatus.FORBIDDEN, texts.CONFIRM_FIRST)
        return None

    def _elsewhere(self, route: Route, page: str, status: HTTPStatus, sentence: str) -> Response:
        """People are sent to the page that helps, scripts are told."""
        if route.machine or route.path == "/live":
            return refuse(status, sentence, next=page)
        return go(page)

    def _page_of(self, visit: Visit) -> str:
        """The page whose form was sent: its path begins with the page's."""
        pages = {path for path, _ in self._site.navigation} - {"/"}
        first = "/" + visit.request.url.path.strip("/").partition("/")[0]
        return first if first in pages else "/"
