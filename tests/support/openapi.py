"""schemathesis without a server: requests generated from an app's OpenAPI document, valid and not, go to the app."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.schemas import BaseSchema
from starlette.types import ASGIApp

from login_proxy.access.limits import Limits

ORIGIN = "http://localhost:3000"
Judge = Callable[[str, str, int], None]


class NoLimits(Limits):
    """The rate limits are tested elsewhere; here they would hide what is behind them."""

    def wait(self, limit: object, address: str) -> float:
        return 0.0


def throw(app: ASGIApp, schema: BaseSchema, headers: dict[str, str], judge: Judge, examples: int) -> int:
    """Generated requests at every operation; `judge(method, path, status)` of each answer. How many there were."""
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 5))
    operations = [result.ok() for result in schema.get_all_operations()]
    with asyncio.Runner() as runner:  # in this thread: SQLite files belong to the thread that opened them
        client = httpx.AsyncClient(transport=transport, base_url=ORIGIN)

        def send(method: str, path: str, **content: Any) -> int:
            client.cookies.clear()
            return runner.run(client.request(method, path, **content)).status_code

        return sum(
            throw_at(send, operation, mode, headers, judge, examples)
            for operation in operations
            for mode in schemathesis.GenerationMode
            if "requestBody" in operation.definition.raw
            or mode is schemathesis.GenerationMode.POSITIVE  # nothing to get wrong in no body
        )


def throw_at(
    send: Callable[..., int], operation: Any, mode: object, headers: dict[str, str], judge: Judge, examples: int
) -> int:
    """Requests at one operation, valid or not by `mode`; how many there were."""
    count = 0

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def one(case: Any) -> None:
        nonlocal count
        wire = case.as_transport_kwargs(base_url=ORIGIN)
        content = {name: wire[name] for name in ("json", "data", "files", "params") if wire.get(name)}
        sent = {**{k: v for k, v in dict(wire.get("headers") or {}).items() if v.isascii()}, **headers}
        status = send(case.method, case.formatted_path, headers=sent, **content)
        count += 1
        judge(case.method, operation.path, status)

    try:
        one()
    except Unsatisfiable:  # no invalid request can be made of a route that reads nothing
        return 0
    return count
