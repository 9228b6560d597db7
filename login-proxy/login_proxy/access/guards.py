"""Guards in front of every public route: exact hosts, same-origin posts, a bounded rate, strict headers.

A plain ASGI middleware around the page's app, one for each listener. "Is the client local?" cannot be told inside a
container, so trust comes from the exact origin and from the session, never from addresses.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from login_proxy.access.limits import Limits
from login_proxy.access.proxied import TrustedProxy

MAX_BODY_BYTES = 16 * 1024
OPEN_PATH = "/healthz"  # asked by the container's healthcheck under any name; says nothing about the node
ORIGIN_KEY = "origin"  # where the origin that was used stands in the scope's state
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


class Guards:
    """Lets a request through to `app` only if it comes from one of `origins`.

    `addresses`: a page at any https://<IP address> is its own origin as well. An address cannot be rebound to another
    host as a name can. `proxy`: the one host whose word on where a request comes from is believed.
    """

    def __init__(
        self,
        app: ASGIApp,
        origins: Iterable[str],
        limits: Limits | None = None,
        *,
        addresses: bool = False,
        proxy: TrustedProxy | None = None,
    ) -> None:
        self._app = app
        self._limits = limits or Limits()
        self._addresses = addresses
        self._proxy = proxy
        self._origins = frozenset(origins)
        self._hosts = {urlsplit(origin).netloc: origin for origin in self._origins}
        self._loopback = {
            origin.replace("//localhost", f"//{name}", 1).partition("//")[2]: origin
            for origin in self._origins
            if urlsplit(origin).hostname == "localhost"
            for name in ("127.0.0.1", "[::1]")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        if self._proxy is not None:
            await self._proxy.rewrite(scope, headers)
        scope.setdefault("state", {})[ORIGIN_KEY] = self._origin(headers.get("host", "").lower())
        refusal = self._refusal(scope, headers)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    out[name] = value
                if not scope["path"].startswith("/static/"):
                    out["cache-control"] = "no-store"
            await send(message)

        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _origin(self, host: str) -> str:
        """The allowed origin that belongs to `host`, or ""."""
        if host in self._hosts:
            return self._hosts[host]
        return f"https://{host}" if self._addresses and _is_address(host) else ""

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["path"] == OPEN_PATH:
            return None
        client = scope.get("client")
        if wait := self._limits.wait("requests", client[0] if client else ""):
            return PlainTextResponse(
                "Too many requests. Wait a moment.\n",
                HTTPStatus.TOO_MANY_REQUESTS,
                {"retry-after": str(math.ceil(wait))},
            )
        host, origin = headers.get("host", "").lower(), scope["state"][ORIGIN_KEY]
        reading = scope["method"] in ("GET", "HEAD")
        if reading and host in self._loopback:
            # cookies and passkeys belong to a name: 127.0.0.1 and localhost must not be two places
            return RedirectResponse(self._loopback[host] + quote(scope["path"]), HTTPStatus.TEMPORARY_REDIRECT)
        if not origin:
            return PlainTextResponse(
                "This name is not one of the node's own addresses. Open http://localhost and the port, or set "
                "SWARM_PUBLIC_URL.\n",
                HTTPStatus.MISDIRECTED_REQUEST,
            )
        if reading:
            return None
        if scope["method"] != "POST":
            return PlainTextResponse("Method not allowed.\n", HTTPStatus.METHOD_NOT_ALLOWED)
        if headers.get("origin") != origin or headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return PlainTextResponse("Forms are accepted from this page only.\n", HTTPStatus.FORBIDDEN)
        return None


def _is_address(host: str) -> bool:
    """Whether a Host header is an IP address, with or without a port."""
    parts = urlsplit(f"//{host}")
    try:
        ipaddress.ip_address(parts.hostname or "")
        _ = parts.port
    except ValueError:
        return False
    return parts.username is None and parts.path == "" and host == parts.netloc
