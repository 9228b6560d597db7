"""The table of who may call what, and its enforcement: every route of the page stands in it with its access.

Works with `site` (who calls) and the page modules, each of which gives a list of `Route`. A route that is not in the
table does not exist; a handler is only ever called for whom its access admits.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from starlette.responses import Response

from login_proxy.web.visit import Visit

Handler = Callable[[Visit], Awaitable[Response]]


class Access(StrEnum):
    """Who may call a route."""

    ANYONE = "anyone"  # says nothing about the node
    UNCLAIMED = "unclaimed"  # anyone, as long as nobody owns the node; the handler asks for the setup token
    CLAIMED = "claimed"  # anyone, once somebody owns the node: signing in
    READER = "reader"  # the owner; with SWARM_LOGIN=auto on localhost everybody who reaches the port
    OWNER = "owner"  # signed in
    PROVED = "proved"  # signed in, and proved again within five minutes who they are


@dataclass(frozen=True)
class Route:
    """One route. `nav` is the key of its words in the navigation; `body` and `form` describe what it reads."""

    method: str
    path: str
    access: Access
    handler: Handler
    nav: str = ""
    body: type[BaseModel] | None = None
    form: tuple[str, ...] = ()

    @property
    def machine(self) -> bool:
        """Whether a script calls it: it is answered in JSON and never redirected."""
        return self.body is not None

    def openapi(self) -> dict[str, Any]:
        """What the route reads, for `FastAPI.openapi`; tests generate requests from it."""
        if self.body is not None:
            content = {"application/json": {"schema": self.body.model_json_schema()}}
        elif self.form:
            fields = {name: {"type": "string"} for name in self.form}
            schema = {"type": "object", "properties": fields}
            content = {"application/x-www-form-urlencoded": {"schema": schema}}
        else:
            return {}
        return {"requestBody": {"required": True, "content": content}}
