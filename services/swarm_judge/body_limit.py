"""Refuses a request's body as soon as it is longer than allowed, before anything parses it."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """ASGI middleware: 413 by `Content-Length` at once, by count otherwise."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        body = bytearray()
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        too_long = not declared.isdigit() or int(declared[:20]) > self._limit
        while not too_long:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            too_long = len(body) > self._limit
            if not message.get("more_body", False):
                break
        if too_long:
            answer = JSONResponse({"error": "BodyTooLarge"}, 413, {"connection": "close"})
            await answer(scope, receive, send)
            return
        handed = False

        async def whole() -> Message:
            nonlocal handed
            if handed:
                return await receive()
            handed = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self._app(scope, whole, send)
