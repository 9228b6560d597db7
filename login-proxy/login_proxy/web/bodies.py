"""Bounded bodies: what is longer than allowed is refused before it is read. Works with both listeners' routes."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

_MAX_FIELDS = 16


class BodyTooLarge(Exception):
    """The body is longer than the route allows."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body, at most `limit` bytes. Raises BodyTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge
    return bytes(body)


async def read_form(request: Request, limit: int) -> dict[str, str]:
    """Fields of a URL-encoded form; the first of a name counts. Raises ValueError when it is no such form."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise ValueError("not a form")
    text = (await read_body(request, limit)).decode("utf-8")
    fields: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, strict_parsing=bool(text)):
        fields.setdefault(name, value)
    return fields
