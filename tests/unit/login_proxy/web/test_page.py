"""The page: who may see what, the claim in all its failures, and no word of the operator's data without a session."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from importlib.resources import files

import httpx
import pytest

from login_proxy.access.guards import Guards
from login_proxy.node import LoginNode
from login_proxy.outbox.intents import reward
from login_proxy.texts import access as texts
from login_proxy.web.page import Page

ORIGIN = "http://localhost:3000"
PASSWORD = "correct horse battery"


def browser_of(node: LoginNode, origin: str = ORIGIN) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(Guards(Page(node).app(), node.settings.origins()))
    return httpx.AsyncClient(transport=transport, base_url=origin, headers={"origin": origin})


@pytest.fixture
def node(make_node: Callable[..., LoginNode]) -> LoginNode:
    return make_node()


@pytest.fixture
async def browser(node: LoginNode) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(node) as client:
        yield client


def claim_form(node: LoginNode, **changes: str) -> dict[str, str]:
    return {"token": node.setup_token.rotate(), "password": PASSWORD, "password_again": PASSWORD} | changes


async def test_an_unclaimed_node_shows_only_the_claim(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/")).headers["location"] == "/claim"
    assert (await browser.get("/login")).headers["location"] == "/claim"
    assert (await browser.get("/live")).status_code == 401
    page = await browser.get("/claim")
    assert page.status_code == 200
    assert "QmPeerA" not in page.text
    assert (await browser.get("/healthz")).json() == {"live": True}
    for path in ("/docs", "/redoc", "/openapi.json", "/static/", "/static/../app.py", "/static/%2e%2e/app.py"):
        assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status", "text"),
    [
        ({"token": ""}, 403, texts.CLAIM_REFUSED),
        ({"token": "x" * 32}, 403, texts.CLAIM_REFUSED),
        ({"password": "short", "password_again": "short"}, 400, texts.TOO_SHORT),
        ({"password_again": "another password"}, 400, texts.CLAIM_MISMATCH),
    ],
)
async def test_a_claim_that_fails_says_why_and_changes_nothing(
    browser: httpx.AsyncClient, node: LoginNode, changes: dict[str, str], status: int, text: str
) -> None:
    form = claim_form(node, **changes)
    answer = await browser.post("/claim", data=form)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, False)
    assert text in answer.text
    assert PASSWORD not in answer.text
    assert not node.claimed
    assert node.wallet is None


@pytest.mark.parametrize("content_type", ["text/plain", "application/json", "multipart/form-data", ""])
async def test_only_plain_forms_are_read(browser: httpx.AsyncClient, content_type: str) -> None:
    answer = await browser.post("/claim", content=b"token=x", headers={"content-type": content_type})
    assert answer.status_code == 400


async def test_a_claim_makes_owner_account_and_session_once(browser: httpx.AsyncClient, node: LoginNode) -> None:
    form = claim_form(node)
    done = await browser.post("/claim", data=form)
    assert (done.status_code, done.headers["location"]) == (303, "/")
    cookie = done.headers["set-cookie"]
    assert re.match(r"swarm_session=[\w-]{43}; HttpOnly; Max-Age=\d+; Path=/; SameSite=strict$", cookie), cookie
    assert node.claimed
    assert node.wallet is not None
    page = await browser.get("/")
    assert page.status_code == 200
    assert node.wallet.address in page.text
    assert "QmPeerA" in page.text
    async with browser_of(node) as other:
        again = await other.post("/claim", data=form)
        assert (again.status_code, again.headers["location"]) == (303, "/login")
        assert (await other.get("/")).headers["location"] == "/login"


async def test_signing_in_and_out(browser: httpx.AsyncClient, node: LoginNode) -> None:
    await browser.post("/claim", data=claim_form(node))
    await browser.post("/logout")
    assert (await browser.get("/")).headers["location"] == "/login"
    wrong = await browser.post("/login", data={"password": "x" * 20})
    assert (wrong.status_code, texts.LOGIN_WRONG in wrong.text) == (403, True)
    assert (await browser.post("/login", data={"password": PASSWORD})).status_code == 303
    assert (await browser.get("/")).status_code == 200
    assert (await browser.get("/login")).headers["location"] == "/"


async def test_a_flood_of_guesses_is_answered_429(browser: httpx.AsyncClient, node: LoginNode) -> None:
    await browser.post("/claim", data=claim_form(node))
    node.passwords._enter()  # somebody's password is being checked
    answer = await browser.post("/login", data={"password": PASSWORD})
    assert (answer.status_code, texts.LOGIN_BUSY in answer.text) == (429, True)


async def test_mode_auto_is_read_only_for_everybody(make_node: Callable[..., LoginNode]) -> None:
    node = make_node(login="auto")
    async with browser_of(node) as browser:
        page = await browser.get("/")
        assert page.status_code == 200
        assert texts.PAGE["read_only"] in page.text
        assert (await browser.get("/live")).status_code == 200
        for path in ("/claim", "/login"):
            assert (await browser.get(path)).headers["location"] == "/"
        assert (await browser.post("/claim", data=claim_form(node))).headers["location"] == "/"
        assert not node.claimed


async def test_over_tls_the_cookie_is_bound_to_the_host(make_node: Callable[..., LoginNode]) -> None:
    node = make_node(public_url="https://node.example")
    async with browser_of(node, "https://node.example") as browser:
        cookie = (await browser.post("/claim", data=claim_form(node))).headers["set-cookie"]
    assert cookie.startswith("__Host-swarm_session=")
    assert "Secure" in cookie


async def test_what_comes_from_outside_is_escaped(browser: httpx.AsyncClient, node: LoginNode) -> None:
    row, _ = node.store.put(reward("QmPeerA", 1, 0, 5))
    node.store.reject(row.id, "<script>alert(1)</script>")
    await browser.post("/claim", data=claim_form(node))
    page = await browser.get("/")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;alert(1)" in page.text


def test_pages_hold_no_inline_script_or_style_and_nothing_from_elsewhere() -> None:
    for template in files("login_proxy").joinpath("web/templates").iterdir():
        text = template.read_text()
        assert "http" not in text, template.name
        assert " style=" not in text, template.name
        assert not re.search(r"\son\w+=", text), template.name
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template.name
