"""Page `/security`: ways to sign in, sessions, and what happened. Changes need a fresh confirmation."""

from __future__ import annotations

import time
from http import HTTPStatus

from starlette.responses import Response

from login_proxy.access.methods import NewMethod
from login_proxy.access.passwords import Busy, is_acceptable
from login_proxy.access.sessions import session_id
from login_proxy.access.store import LastMethod
from login_proxy.texts import access as texts
from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site, go
from login_proxy.web.visit import Visit

_EVENTS_SHOWN = 50


class SecurityPages:
    """Methods, sessions, audit log."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            Route("GET", "/security", Access.OWNER, self.show, nav="nav_security"),
            Route("POST", "/security/password", Access.PROVED, self.set_password, form=("password", "password_again")),
            Route("POST", "/security/methods/remove", Access.PROVED, self.remove, form=("method",)),
            Route("POST", "/security/sessions/end", Access.OWNER, self.end_session, form=("session",)),
            Route("POST", "/security/sessions/end-others", Access.OWNER, self.end_others),
        ]

    async def show(self, visit: Visit) -> Response:
        """Everything at a glance."""
        return self._page(visit)

    async def set_password(self, visit: Visit) -> Response:
        """A new password; the old one, if any, is void."""
        form = await visit.form() or {}
        password = form.get("password", "")
        if not is_acceptable(password):
            return self._page(visit, HTTPStatus.BAD_REQUEST, texts.TOO_SHORT)
        if password != form.get("password_again", ""):
            return self._page(visit, HTTPStatus.BAD_REQUEST, texts.CLAIM_MISMATCH)
        try:
            hashed = await self._node.passwords.hash(password)
        except Busy:
            return self._page(visit, HTTPStatus.TOO_MANY_REQUESTS, texts.LOGIN_BUSY)
        self._node.access.add(NewMethod("password", secret=hashed))
        self._node.audit.add("method_added", "password", visit.address)
        return go("/security")

    async def remove(self, visit: Visit) -> Response:
        """Remove a way to sign in, but never the last one."""
        form = await visit.form() or {}
        number = form.get("method", "")
        if not (number.isascii() and number.isdecimal() and len(number) < 10):
            return self._page(visit, HTTPStatus.BAD_REQUEST, texts.BAD_FORM)
        try:
            removed = self._node.access.remove(int(number))
        except LastMethod:
            self._node.audit.add("method_kept", "", visit.address)
            return self._page(visit, HTTPStatus.CONFLICT, texts.LAST_METHOD)
        if removed is not None:
            self._node.audit.add("method_removed", removed.kind, visit.address)
        return go("/security")

    async def end_session(self, visit: Visit) -> Response:
        """End one session."""
        form = await visit.form() or {}
        if self._node.sessions.revoke(form.get("session", "")):
            self._node.audit.add("session_revoked", "one", visit.address)
        return go("/security")

    async def end_others(self, visit: Visit) -> Response:
        """End every session but this one."""
        if visit.session is not None and (count := self._node.sessions.revoke_others(visit.session)):
            self._node.audit.add("session_revoked", f"{count} others", visit.address)
        return go("/security")

    def _page(self, visit: Visit, status: HTTPStatus = HTTPStatus.OK, error: str = "") -> Response:
        methods = self._node.access.methods()
        sessions = [
            {
                "id": session_id(stored), "agent": stored.agent, "address": stored.address,
                "method": texts.METHODS.get(stored.method, stored.method), "started": moment(stored.created_at),
                "seen": moment(stored.seen_at),
                "own": visit.session is not None and visit.session.stored.token_hash == stored.token_hash,
            }
            for stored in self._node.sessions.living()
        ]  # fmt: skip
        rows = [
            {
                "id": method.id, "kind": texts.METHODS[method.kind], "label": method.what.label or "",
                "for": method.what.secret if method.kind == "wallet" else (method.what.rp_id or ""),
                "added": moment(method.created_at),
                "used": moment(method.used_at) if method.used_at is not None else "",
            }
            for method in methods
        ]  # fmt: skip
        events = [
            {"at": moment(e.at), "event": texts.EVENTS.get(e.event, e.event), "detail": e.detail, "address": e.address}
            for e in self._node.audit.newest(_EVENTS_SHOWN)
        ]
        return self._site.render(
            visit, "security.html", status, error=error, methods=rows, sessions=sessions, events=events,
            has_password=any(method.kind == "password" for method in methods), offer=self._site.offer(visit),
        )  # fmt: skip


def moment(at: float) -> str:
    """A time of day in UTC, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(at))
