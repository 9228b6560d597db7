"""HTTP clients: the deadline covers all attempts, what is repeated and what is not, the breaker, the errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from swarm_core import client as client_module
from swarm_core.client import Breaker, ServiceClient, UnixClient
from swarm_core.errors import Refused, Unavailable

Handler = Callable[[httpx.Request], httpx.Response]


class Server:
    """Answers from a list, the last one for ever; keeps the requests."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, text=f"text of {answer}")

    def client(self, **options: object) -> ServiceClient:
        return ServiceClient("http://service", transport=httpx.MockTransport(self), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 204, 302])
async def test_an_answer_is_returned(status: int) -> None:
    server = Server(status)
    answer = await server.client().request("GET", "/x", deadline=1.0)
    assert (answer.status_code, len(server.requests)) == (status, 1)


async def test_token_body_and_headers_are_sent() -> None:
    server = Server(200)
    client = server.client(token="secret")
    await client.request("POST", "/x", deadline=1.0, json={"a": 1}, headers={"prefer": "respond-async"})
    await client.request("PUT", "/y", deadline=1.0, content=b"bytes")
    first, second = server.requests
    assert (first.headers["authorization"], first.headers["prefer"]) == ("Bearer secret", "respond-async")
    assert (first.content, second.content, second.method, second.url.path) == (b'{"a":1}', b"bytes", "PUT", "/y")


async def test_no_token_no_header() -> None:
    server = Server(200)
    await server.client().request("GET", "/x", deadline=1.0)
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 499])
async def test_a_refusal_is_final(status: int) -> None:
    server = Server(status)
    with pytest.raises(Refused) as caught:
        await server.client().request("GET", "/x", deadline=5.0)
    assert (caught.value.status, caught.value.detail, len(server.requests)) == (status, f"text of {status}", 1)


@pytest.mark.parametrize(
    "failure", [429, 500, 503, httpx.ConnectError("x"), httpx.ReadTimeout("x"), httpx.ReadError("x")]
)
async def test_a_passing_failure_is_tried_again(failure: int | Exception) -> None:
    server = Server(failure, failure, 200)
    answer = await server.client().request("GET", "/x", deadline=10.0)
    assert (answer.status_code, len(server.requests)) == (200, 3)


@pytest.mark.parametrize("failure", [429, 503, httpx.ReadError("x")])
async def test_a_call_that_must_not_be_repeated_is_not(failure: int | Exception) -> None:
    server = Server(failure, 200)
    with pytest.raises(Unavailable):
        await server.client().request("POST", "/x", deadline=5.0, idempotent=False)
    assert len(server.requests) == 1


async def test_the_deadline_covers_all_attempts() -> None:
    server, began = Server(503), time.monotonic()
    with pytest.raises(Unavailable, match="status 503"):
        await server.client().request("GET", "/x", deadline=0.5)
    assert time.monotonic() - began < 3
    assert len(server.requests) >= 2


async def test_a_server_that_hangs_costs_the_deadline_and_no_more() -> None:
    async def hang(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200)

    client, began = ServiceClient("http://service", transport=httpx.MockTransport(hang)), time.monotonic()
    with pytest.raises(Unavailable, match="GET /x: TimeoutError"):
        await client.request("GET", "/x", deadline=0.2)
    assert time.monotonic() - began < 3


async def test_pauses_are_drawn_from_a_growing_range(monkeypatch: pytest.MonkeyPatch) -> None:
    ranges: list[tuple[float, float]] = []

    def uniform(low: float, high: float) -> float:
        ranges.append((low, high))
        return 0.0

    monkeypatch.setattr(client_module.random, "uniform", uniform)
    server = Server(*[503] * 7, 200)
    await server.client().request("GET", "/x", deadline=10.0)
    assert ranges == [(0, high) for high in (0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0)]


async def test_an_open_breaker_answers_without_a_call() -> None:
    server = Server(503)
    client = server.client(breaker=Breaker(limit=2, cooldown=60))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await client.request("GET", "/x", deadline=1.0, idempotent=False)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="not tried"):
        await client.request("GET", "/x", deadline=30.0)
    assert len(server.requests) == 2
    assert time.monotonic() - began < 5


async def test_a_refusal_does_not_open_the_breaker() -> None:
    server = Server(404)
    client = server.client(breaker=Breaker(limit=1, cooldown=60))
    for _ in range(3):
        with pytest.raises(Refused):
            await client.request("GET", "/x", deadline=1.0)
    assert len(server.requests) == 3


def test_the_breaker_opens_lets_one_probe_through_and_closes() -> None:
    breaker = Breaker(limit=3, cooldown=1.0)
    for now in (0.0, 0.1):
        breaker.record(False, now)
        assert breaker.admits(now)
    breaker.record(False, 0.2)  # the third in a row
    assert not breaker.admits(0.3)
    assert not breaker.admits(1.19)
    assert breaker.admits(1.2)  # the probe
    assert not breaker.admits(1.3)  # only one
    breaker.record(False, 1.4)
    assert not breaker.admits(2.3)
    assert breaker.admits(2.4)
    breaker.record(True, 2.5)
    assert breaker.admits(2.5)
    breaker.record(False, 2.6)
    assert breaker.admits(2.6)  # the count began anew


async def test_get_json() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text='{"a": [1]}' if request.url.path == "/good" else "<html>")

    client = ServiceClient("http://service", transport=httpx.MockTransport(answer))
    assert await client.get_json("/good", deadline=1.0) == {"a": [1]}
    with pytest.raises(Unavailable, match="not JSON"):
        await client.get_json("/bad", deadline=1.0)
    await client.close()


async def test_proxy_variables_of_the_host_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    client = ServiceClient("http://service")
    assert not [pattern for pattern, mount in client._http._mounts.items() if mount is not None]
    await client.close()


async def test_a_socket_that_is_not_there(tmp_path: Path) -> None:
    client = UnixClient(tmp_path / "none.sock")
    with pytest.raises(Unavailable, match="ConnectError"):
        await client.request("GET", "/x", deadline=0.3)
    assert client.path == tmp_path / "none.sock"
    await client.close()
