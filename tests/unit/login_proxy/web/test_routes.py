"""The table of who may call what: complete, and enforced for every route.

A route that is added must be added here as well: the table is written out, so that nobody opens a route by accident.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.unit.login_proxy.web.test_page import PASSWORD, browser_of, claim_form

from login_proxy.access.limits import Limits
from login_proxy.node import LoginNode
from login_proxy.web.page import Page
from login_proxy.web.routes import Access, Route
from login_proxy.web.worker_api import make_worker_api

ROOT = Path(__file__).resolve().parents[4]
DOCUMENT = ROOT / "docs/routes.md"
PUBLIC = {Access.ANYONE}


def documented() -> dict[tuple[str, str], str]:
    """(method, path) → access, from the table in docs/routes.md."""
    rows = [line.split("|")[1:4] for line in DOCUMENT.read_text().splitlines() if line.startswith(("| GET", "| POST"))]
    return {(row[0].strip(), row[1].strip(" `")): row[2].strip() for row in rows}


def test_the_document_names_every_route_with_who_may_call_it(make_node: Callable[..., LoginNode]) -> None:
    table = {(route.method, route.path): route.access.value for route in Page(make_node()).table}
    app = Page(make_node()).app()
    served = {(method, r.path) for r in app.routes if hasattr(r, "methods") for method in r.methods or ()}
    assert {(method, path) for method, path in served if method != "HEAD"} == set(table), "no route beside the table"
    page = {key: access for key, access in documented().items() if not key[1].startswith("/api/")}
    assert page == table


async def test_the_worker_api_answers_nobody_without_the_token(make_node: Callable[..., LoginNode]) -> None:
    app = make_worker_api(make_node(), "t" * 43)
    served = {(method, r.path): "token" for r in app.routes if hasattr(r, "methods") for method in r.methods or ()}
    assert served == {key: access for key, access in documented().items() if key[1].startswith("/api/")}
    transport = httpx.ASGITransport(app)
    for method, path in served:
        for headers in (
            {},
            {"authorization": "Bearer x"},
            {"authorization": "t" * 43},
            {"authorization": "Basic dDp0"},
        ):
            async with httpx.AsyncClient(transport=transport, base_url="http://login:3001", headers=headers) as client:
                assert (await client.request(method, path, content=b"{}")).status_code == 401, path


async def call(browser: httpx.AsyncClient, route: Route) -> httpx.Response:
    """The route called with a body of the right kind."""
    if route.method == "GET":
        return await browser.get(route.path)
    if route.machine:
        return await browser.post(route.path, json={})
    return await browser.post(route.path, data={"x": "y"})


def refused(answer: httpx.Response) -> bool:
    """Whether the answer is a refusal or leads to a page where one signs in or confirms."""
    if answer.status_code == 303:
        return urlsplit(answer.headers["location"]).path in ("/login", "/claim", "/confirm")
    return answer.status_code in (401, 403, 409)


@pytest.mark.parametrize("claimed", [False, True])
async def test_strangers_get_nothing_but_the_doors(make_node: Callable[..., LoginNode], claimed: bool) -> None:
    node = make_node()
    if claimed:
        async with browser_of(node) as owner:
            await owner.post("/claim", data=claim_form(node))
    door = Access.CLAIMED if claimed else Access.UNCLAIMED
    for route in Page(node).table:
        async with browser_of(node) as browser:
            answer = await call(browser, route)
        open_to_all = route.access in PUBLIC or route.access is door
        assert open_to_all or refused(answer), (route.method, route.path, answer.status_code)
        assert "QmPeerA" not in answer.text
        assert answer.status_code < 500


async def test_an_old_session_may_read_but_not_what_needs_a_fresh_proof(make_node: Callable[..., LoginNode]) -> None:
    node = make_node()
    for route in Page(node).table:
        if route.access is not Access.PROVED:
            continue
        node.access.reset()
        node.limits = Limits()
        async with browser_of(node) as browser:
            await browser.post("/claim", data=claim_form(node))
            node.access.db.execute("UPDATE sessions SET proved_at = 0")
            answer = await call(browser, route)
            where = answer.headers.get("location") or answer.json()["next"]
            assert where.startswith("/confirm?next=/"), (route.path, where)
            assert (await browser.get("/security")).status_code == 200


async def test_no_route_answers_another_origin(make_node: Callable[..., LoginNode]) -> None:
    node = make_node()
    async with browser_of(node) as browser:
        await browser.post("/claim", data=claim_form(node))
        for route in Page(node).table:
            rebound = await browser.request(route.method, route.path, headers={"host": "evil.example"})
            assert rebound.status_code == (200 if route.path == "/healthz" else 421), route.path
            if route.method == "POST":
                for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
                    answer = await browser.post(route.path, data={"password": PASSWORD}, headers=headers)
                    assert answer.status_code == 403, route.path
        assert (await browser.get("/")).status_code == 200, "nothing was changed"


async def test_scripts_are_read_as_json_only(make_node: Callable[..., LoginNode]) -> None:
    node = make_node()
    for route in Page(node).table:
        if not route.machine or route.access is not Access.UNCLAIMED:
            continue
        node.limits = Limits()
        async with browser_of(node) as browser:
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
                answer = await browser.post(route.path, content=b'{"token": "x"}', headers={"content-type": kind})
                assert answer.status_code == 400, (route.path, kind)
