"""What all pages share: templates with layout and navigation, answers, the session's cookie.

A page module is a class made from a `Site` that gives its `routes()`; `page` puts them together.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from login_proxy.access.offer import Offer, offer
from login_proxy.access.sessions import ABSOLUTE_SECONDS
from login_proxy.node import LoginNode
from login_proxy.texts.catalogue import PAGE
from login_proxy.web.visit import Visit


class Site:
    """Renders pages for a node. `navigation` is filled by `page` from the routes: (path, key of its words)."""

    def __init__(self, node: LoginNode) -> None:
        self.node = node
        self.navigation: list[tuple[str, str]] = []
        self._templates = Environment(
            loader=PackageLoader("login_proxy", "web/templates"), autoescape=True, undefined=StrictUndefined
        )
        self._templates.globals["t"] = PAGE

    @property
    def open_to_read(self) -> bool:
        """Whether the page may be read without signing in: an unattended node that only this host can reach."""
        return self.node.settings.login == "auto" and self.node.settings.access == "local"

    def offer(self, visit: Visit) -> Offer:
        """Which ways to sign in work under the visit's origin."""
        return offer(visit.origin, self_signed=self.node.settings.access == "https")

    def render(self, visit: Visit, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any) -> Response:
        """A page. Templates extend `base.html` and know `signed_in`, `here` (the path) and `t` (the words)."""
        html = self._templates.get_template(template).render(
            {
                "signed_in": visit.session is not None,
                "here": visit.request.url.path,
                "navigation": self.navigation if visit.session is not None or self.open_to_read else [],
                "moved": self.node.vault.moved,
                "backup_missing": visit.session is not None and self.node.backup_missing,
                "fingerprint": self.node.fingerprint if visit.secure else "",
                **values,
            }
        )
        return HTMLResponse(html, status)

    def signed_in(self, visit: Visit, method: str, to: str = "/", *, machine: bool = False) -> Response:
        """Start a session and go to `to`; a script is told where to go."""
        token = self.node.sessions.start(method, visit.agent, visit.address)
        answer: Response = JSONResponse({"next": to}) if machine else go(to)
        answer.set_cookie(
            visit.cookie, token, max_age=int(ABSOLUTE_SECONDS), path="/", httponly=True, secure=visit.secure,
            samesite="strict",
        )  # fmt: skip
        return answer

    def signed_out(self, visit: Visit) -> Response:
        """End the session."""
        self.node.sessions.end(visit.request.cookies.get(visit.cookie))
        answer = go("/login")
        answer.delete_cookie(visit.cookie, path="/", secure=visit.secure, httponly=True, samesite="strict")
        return answer


def go(path: str) -> RedirectResponse:
    """Send the browser to another page of ours."""
    return RedirectResponse(path, HTTPStatus.SEE_OTHER)


def refuse(status: HTTPStatus, error: str, **more: Any) -> JSONResponse:
    """An error for a script: one clear sentence."""
    return JSONResponse({"error": error, **more}, status)
