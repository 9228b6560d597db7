"""One request as the pages see it: who calls, under which origin, from where. Works with `access` and `bodies`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from login_proxy.access.guards import MAX_BODY_BYTES, ORIGIN_KEY
from login_proxy.access.sessions import Session, Sessions
from login_proxy.web.bodies import BodyTooLarge, read_body, read_form

B = TypeVar("B", bound=BaseModel)
_COOKIE = "swarm_session"


@dataclass(frozen=True)
class Visit:
    """A request with its session. `origin` is the one of the allow-list that the browser used."""

    request: Request
    origin: str
    address: str
    session: Session | None

    @property
    def secure(self) -> bool:
        """Whether the browser came over TLS."""
        return urlsplit(self.origin).scheme == "https"

    @property
    def agent(self) -> str:
        """What the browser calls itself."""
        return self.request.headers.get("user-agent", "")

    @property
    def cookie(self) -> str:
        """Name of the session's cookie: bound to the host where TLS allows it."""
        return f"__Host-{_COOKIE}" if self.secure else _COOKIE

    async def form(self, limit: int = MAX_BODY_BYTES) -> dict[str, str] | None:
        """Fields of the form, None if it is none or longer than `limit` bytes."""
        try:
            return await read_form(self.request, limit)
        except (ValueError, BodyTooLarge):
            return None

    async def json(self, model: type[B]) -> B | None:
        """The JSON body, None if it is none, too long or not what `model` says."""
        if self.request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return None
        try:
            return model.model_validate_json(await read_body(self.request, MAX_BODY_BYTES))
        except (ValidationError, BodyTooLarge):
            return None


def visit_of(request: Request, sessions: Sessions) -> Visit:
    """The visit behind `request`, which `access.guards` has let in."""
    origin = str(request.scope["state"][ORIGIN_KEY])
    address = request.client.host if request.client is not None else ""
    visit = Visit(request, origin, address, None)
    return Visit(request, origin, address, sessions.find(request.cookies.get(visit.cookie)))
