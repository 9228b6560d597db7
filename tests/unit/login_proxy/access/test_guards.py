"""Guards: exact hosts, same-origin posts, strict headers on everything, also on refusals."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.responses import PlainTextResponse

from login_proxy.access.guards import SECURITY_HEADERS, Guards

ORIGINS = ("https://node.example:3443", "http://localhost:3000")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(Guards(PlainTextResponse("inside"), ORIGINS))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        yield client


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:3000", 200), ("LOCALHOST:3000", 200), ("node.example:3443", 200),
        ("localhost", 421), ("localhost:3001", 421), ("evil.example", 421), ("localhost:3000.evil.example", 421),
        ("node.example", 421), ("", 421), ("10.0.0.7:3000", 421),
        ("127.0.0.1:3000", 307), ("[::1]:3000", 307), ("127.0.0.1:9", 421),
    ],
)  # fmt: skip
async def test_only_own_names_are_served(client: httpx.AsyncClient, host: str, status: int) -> None:
    answer = await client.get("/login", headers={"host": host})
    assert answer.status_code == status
    if status == 307:
        assert answer.headers["location"] == "http://localhost:3000/login"


async def test_the_healthcheck_is_open_to_any_name(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz", headers={"host": "whatever"})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://localhost:3000"}, 200),
        ({"origin": "http://localhost:3000", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://localhost:3000", "sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost:3000", "sec-fetch-site": "cross-site"}, 403),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "https://localhost:3000"}, 403),
        ({"origin": "https://node.example:3443"}, 403),
        ({"origin": "https://node.example:3443", "host": "node.example:3443"}, 200),
        ({"origin": "http://127.0.0.1:3000", "host": "127.0.0.1:3000"}, 421),
    ],
)
async def test_forms_come_from_this_page_only(client: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    assert (await client.post("/claim", headers=headers)).status_code == status


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_do_not_exist(client: httpx.AsyncClient, method: str) -> None:
    assert (await client.request(method, "/", headers={"origin": "http://localhost:3000"})).status_code == 405


@pytest.mark.parametrize("host", ["localhost:3000", "evil.example", "127.0.0.1:3000"])
async def test_every_answer_carries_the_strict_headers(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/", headers={"host": host})
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
