"""The page on :3000: claim, sign in, and what the node does. Server-rendered; works without JavaScript.

Works with `node` (actions), `view` (what is shown) and the templates. `access.guards` stands in front of every route.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response

from login_proxy import texts
from login_proxy.access.guards import MAX_BODY_BYTES
from login_proxy.access.passwords import Busy, is_acceptable
from login_proxy.access.sessions import ABSOLUTE_SECONDS
from login_proxy.node import LoginNode
from login_proxy.web.bodies import BodyTooLarge, read_form
from login_proxy.web.view import node_view
from swarm_core.log import get_logger

log = get_logger("page")


class Page:
    """Routes of the page."""

    def __init__(self, node: LoginNode) -> None:
        self._node = node
        self._secure = (node.settings.public_url or "").startswith("https://")
        self._cookie = "__Host-swarm_session" if self._secure else "swarm_session"
        self._templates = Environment(
            loader=PackageLoader("login_proxy", "web/templates"), autoescape=True, undefined=StrictUndefined
        )
        self._templates.globals["t"] = texts.PAGE

    def app(self) -> FastAPI:
        """The ASGI app, without guards."""
        app = FastAPI(title="RL Swarm node", docs_url=None, redoc_url=None, openapi_url=None)
        page: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/", self.home), ("GET", "/live", self.live), ("GET", "/claim", self.claim_form),
            ("POST", "/claim", self.claim), ("GET", "/login", self.login_form), ("POST", "/login", self.login),
            ("POST", "/logout", self.logout), ("GET", "/healthz", self.healthz),
        ]  # fmt: skip
        for method, path, route in page:
            app.add_api_route(path, route, methods=[method])
        static = Path(str(files("login_proxy").joinpath("web/static")))
        app.mount("/static", StaticFiles(directory=static), name="static")
        return app

    async def home(self, request: Request) -> Response:
        """What the node does."""
        if (elsewhere := self._sign_in_first(request)) is not None:
            return elsewhere
        return self._render("node.html", node=await node_view(self._node), signed_in=self._signed_in(request))

    async def live(self, request: Request) -> Response:
        """The changing part of the home page, for its small script."""
        if self._sign_in_first(request) is not None:
            return PlainTextResponse("Sign in.\n", HTTPStatus.UNAUTHORIZED)
        return self._render("live.html", node=await node_view(self._node))

    async def healthz(self, request: Request) -> Response:
        """The listener lives; says nothing about the node."""
        return JSONResponse({"live": True})

    async def claim_form(self, request: Request) -> Response:
        """Asks for the setup token and a password."""
        if (elsewhere := self._unless_claimable()) is not None:
            return elsewhere
        return self._render("claim.html", error="")

    async def claim(self, request: Request) -> Response:
        """Make whoever has the setup token the owner."""
        if (elsewhere := self._unless_claimable()) is not None:
            return elsewhere
        form = await self._form(request)
        if form is None:
            return self._render("claim.html", HTTPStatus.BAD_REQUEST, error=texts.BAD_FORM)
        password = form.get("password", "")
        if not self._node.setup_token.matches(form.get("token", "")):
            log.warning("claim refused", reason="wrong setup token")
            return self._render("claim.html", HTTPStatus.FORBIDDEN, error=texts.CLAIM_REFUSED)
        if not is_acceptable(password):
            return self._render("claim.html", HTTPStatus.BAD_REQUEST, error=texts.TOO_SHORT)
        if password != form.get("password_again", ""):
            return self._render("claim.html", HTTPStatus.BAD_REQUEST, error=texts.CLAIM_MISMATCH)
        try:
            hashed = await self._node.passwords.hash(password)
        except Busy:
            return self._render("claim.html", HTTPStatus.TOO_MANY_REQUESTS, error=texts.LOGIN_BUSY)
        if not self._node.access.claim(hashed):
            return self._render("login.html", HTTPStatus.CONFLICT, error=texts.CLAIM_TAKEN)
        self._node.setup_token.void()
        log.info("node claimed")
        await self._node.open_account(create=True)
        return self._signed_in_redirect()

    async def login_form(self, request: Request) -> Response:
        """Asks for the password."""
        if not self._node.claimed:
            return _to("/claim" if self._node.settings.login == "page" else "/")
        return _to("/") if self._signed_in(request) else self._render("login.html", error="")

    async def login(self, request: Request) -> Response:
        """Check the password and start a session."""
        stored = self._node.access.password_hash()
        if stored is None:
            return _to("/")
        form = await self._form(request)
        if form is None:
            return self._render("login.html", HTTPStatus.BAD_REQUEST, error=texts.BAD_FORM)
        try:
            if not await self._node.passwords.matches(stored, form.get("password", "")):
                log.warning("sign-in refused", reason="wrong password")
                return self._render("login.html", HTTPStatus.FORBIDDEN, error=texts.LOGIN_WRONG)
        except Busy:
            return self._render("login.html", HTTPStatus.TOO_MANY_REQUESTS, error=texts.LOGIN_BUSY)
        log.info("signed in")
        return self._signed_in_redirect()

    async def logout(self, request: Request) -> Response:
        """End this session."""
        self._node.sessions.end(request.cookies.get(self._cookie))
        answer = _to("/login")
        answer.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="strict")
        return answer

    def _signed_in(self, request: Request) -> bool:
        return self._node.sessions.is_valid(request.cookies.get(self._cookie))

    def _sign_in_first(self, request: Request) -> Response | None:
        """Where to go instead of a page that only the owner may read; None if the page may be shown."""
        if self._node.settings.login == "auto" or self._signed_in(request):
            return None
        return _to("/login" if self._node.claimed else "/claim")

    def _unless_claimable(self) -> Response | None:
        if self._node.claimed:
            return _to("/login")
        return None if self._node.settings.login == "page" else _to("/")

    def _signed_in_redirect(self) -> Response:
        answer = _to("/")
        answer.set_cookie(
            self._cookie, self._node.sessions.start(), max_age=int(ABSOLUTE_SECONDS), path="/", httponly=True,
            secure=self._secure, samesite="strict",
        )  # fmt: skip
        return answer

    async def _form(self, request: Request) -> dict[str, str] | None:
        try:
            return await read_form(request, MAX_BODY_BYTES)
        except (ValueError, BodyTooLarge):
            return None

    def _render(self, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(template).render(values), status)


def _to(path: str) -> RedirectResponse:
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)
