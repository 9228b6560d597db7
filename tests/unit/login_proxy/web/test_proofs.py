"""Passkey and wallet: claim, sign in, confirm, add; and every way to cheat is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from tests.support.authenticator import USER_PRESENT, Authenticator, SoftWallet
from tests.unit.login_proxy.web.test_page import ORIGIN, PASSWORD, browser_of, claim_form

from login_proxy.access.methods import NewMethod
from login_proxy.node import LoginNode
from login_proxy.texts import access as texts


@pytest.fixture
def node(make_node: Callable[..., LoginNode]) -> LoginNode:
    return make_node()


@pytest.fixture
async def browser(node: LoginNode) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(node) as client:
        yield client


async def register(browser: httpx.AsyncClient, base: str, key: Authenticator, token: str = "") -> httpx.Response:
    offered = await browser.post(f"{base}/passkey/options", json={"token": token})
    if offered.status_code != 200:
        return offered
    body = offered.json()
    credential = key.create(body["options"], str(browser.base_url).rstrip("/"))
    return await browser.post(
        f"{base}/passkey", json={"ticket": body["ticket"], "credential": credential, "token": token, "label": "phone"}
    )


async def assertion(browser: httpx.AsyncClient, base: str, key: Authenticator, origin: str = ORIGIN) -> dict[str, Any]:
    body = (await browser.post(f"{base}/passkey/options", json={})).json()
    return {"ticket": body["ticket"], "credential": key.get(body["options"], origin)}


async def sign(browser: httpx.AsyncClient, base: str, wallet: SoftWallet, token: str = "") -> httpx.Response:
    asked = {"address": wallet.address.lower(), "token": token}
    offered = await browser.post(f"{base}/wallet/message", json=asked)
    if offered.status_code != 200:
        return offered
    body = offered.json()
    answer = {"ticket": body["ticket"], "signature": wallet.sign(body["message"]), "token": token}
    return await browser.post(f"{base}/wallet", json=answer)


async def test_a_node_is_claimed_with_a_passkey_and_opened_with_it_again(
    browser: httpx.AsyncClient, node: LoginNode
) -> None:
    key, token = Authenticator(), node.setup_token.rotate()
    assert (await register(browser, "/claim", key, "x" * 32)).json() == {"error": texts.CLAIM_REFUSED}
    done = await register(browser, "/claim", key, token)
    assert (done.status_code, done.json()) == (200, {"next": "/"})
    assert node.claimed
    assert node.wallet is not None
    assert (await browser.get("/")).status_code == 200
    await browser.post("/logout")
    signed_in = await browser.post("/login/passkey", json=await assertion(browser, "/login", key))
    assert signed_in.status_code == 200
    assert (await browser.get("/")).status_code == 200
    assert (await browser.post("/login", data={"password": PASSWORD})).status_code == 403, "there is no password"
    async with browser_of(node) as other:
        again = await register(other, "/claim", Authenticator(), token)
        assert (again.status_code, again.json()["error"]) == (409, texts.ALREADY_CLAIMED)


async def test_a_node_is_claimed_with_a_wallet_and_opened_with_it_again(
    browser: httpx.AsyncClient, node: LoginNode
) -> None:
    wallet, token = SoftWallet(), node.setup_token.rotate()
    assert (await sign(browser, "/claim", wallet, "x" * 32)).status_code == 403
    assert (await sign(browser, "/claim", wallet, token)).status_code == 200
    await browser.post("/logout")
    assert (await sign(browser, "/login", SoftWallet())).json() == {"error": texts.WALLET_WRONG}
    assert (await browser.get("/")).headers["location"] == "/login"
    assert (await sign(browser, "/login", wallet)).status_code == 200
    assert (await browser.get("/")).status_code == 200


async def test_what_cheats_with_a_passkey_is_refused(browser: httpx.AsyncClient, node: LoginNode) -> None:
    key = Authenticator()
    await register(browser, "/claim", key, node.setup_token.rotate())
    await browser.post("/logout")
    good = await assertion(browser, "/login", key)
    assert (await browser.post("/login/passkey", json=good)).status_code == 200
    await browser.post("/logout")
    old_counter = await assertion(browser, "/login", key)
    key.counter = 0
    repeated_counter = await assertion(browser, "/login", key)
    key.counter = 10
    unverified, another = Authenticator(key.key, key.credential_id, 20, USER_PRESENT), Authenticator()
    stranger = Authenticator(credential_id=key.credential_id, counter=30)
    confirm_ticket = node.tickets.issue("confirm", ORIGIN).text
    cheats = {
        "replay": good,
        "counter went back": repeated_counter,
        "no user verification": await assertion(browser, "/login", unverified),
        "another authenticator": await assertion(browser, "/login", another),
        "another key under the known id": await assertion(browser, "/login", stranger),
        "foreign origin": await assertion(browser, "/login", key, "http://evil.example"),
        "another origin of ours": await assertion(browser, "/login", key, "http://localhost:3001"),
        "another ticket": old_counter | {"ticket": node.tickets.issue("login", ORIGIN).text},
        "ticket for something else": old_counter | {"ticket": confirm_ticket},
        "no ticket": old_counter | {"ticket": "x"},
        "no credential": {"ticket": old_counter["ticket"], "credential": {}},
        "nonsense": {"ticket": old_counter["ticket"], "credential": {"rawId": good["credential"]["rawId"], "id": 7}},
    }
    for name, body in cheats.items():
        answer = await browser.post("/login/passkey", json=body)
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), name
    assert (await browser.get("/")).headers["location"] == "/login"


async def test_what_cheats_with_a_wallet_is_refused(browser: httpx.AsyncClient, node: LoginNode) -> None:
    wallet, other = SoftWallet(), SoftWallet()
    await sign(browser, "/claim", wallet, node.setup_token.rotate())
    await browser.post("/logout")
    offered = (await browser.post("/login/wallet/message", json={"address": wallet.address})).json()
    good = {"ticket": offered["ticket"], "signature": wallet.sign(offered["message"])}
    assert (await browser.post("/login/wallet", json=good)).status_code == 200
    await browser.post("/logout")
    offered = (await browser.post("/login/wallet/message", json={"address": wallet.address})).json()
    for name, body in {
        "replay": good,
        "wrong key": {"ticket": offered["ticket"], "signature": other.sign(offered["message"])},
        "other text": {"ticket": offered["ticket"], "signature": wallet.sign(offered["message"] + " ")},
        "no signature": {"ticket": offered["ticket"], "signature": ""},
    }.items():
        assert (await browser.post("/login/wallet", json=body)).status_code == 403, name
    bad = await browser.post("/login/wallet/message", json={"address": "0xAAEb6053F3E94C9b9A09f33669435E7Ef1BeAed1"})
    assert (bad.status_code, bad.json()["error"]) == (400, texts.WALLET_ADDRESS)


async def test_more_than_one_way_and_changes_only_after_a_fresh_proof(
    make_node: Callable[..., LoginNode], node: LoginNode, browser: httpx.AsyncClient
) -> None:
    await browser.post("/claim", data=claim_form(node))
    (session,) = node.sessions.living()
    node.access.db.execute("UPDATE sessions SET proved_at = 0")
    key, wallet = Authenticator(), SoftWallet()
    early = await register(browser, "/security", key)
    assert (early.status_code, early.json()["next"]) == (403, "/confirm?next=/security")
    form = await browser.post("/security/methods/remove", data={"method": "1"})
    assert (form.status_code, form.headers["location"]) == (303, "/confirm?next=/security")
    wrong = await browser.post("/confirm?next=/security", data={"password": "x" * 20})
    assert (wrong.status_code, texts.LOGIN_WRONG in wrong.text) == (403, True)
    right = await browser.post("/confirm?next=/security", data={"password": PASSWORD})
    assert (right.status_code, right.headers["location"]) == (303, "/security")
    last = await browser.post("/security/methods/remove", data={"method": "1"})
    assert (last.status_code, texts.LAST_METHOD in last.text) == (409, True)
    assert (await register(browser, "/security", key)).json() == {"next": "/security"}
    assert (await register(browser, "/security", key)).status_code == 409
    assert (await sign(browser, "/security", wallet)).status_code == 200
    assert (await browser.post("/security/methods/remove", data={"method": "1"})).headers["location"] == "/security"
    assert [method.kind for method in node.access.methods()] == ["passkey", "wallet"]
    page = (await browser.get("/security")).text
    assert wallet.address in page
    assert "phone" in page
    node.access.db.execute("UPDATE sessions SET proved_at = 0")
    confirmed = await browser.post("/confirm/passkey", json=await assertion(browser, "/confirm", key))
    assert confirmed.status_code == 200
    found = node.access.session(session.token_hash)
    assert found is not None
    assert found.proved_at > 0


@pytest.mark.parametrize("wanted", ["//evil.example", "https://evil.example", "/nowhere", "\\\\evil", "/logout", ""])
async def test_confirming_leads_to_own_pages_only(browser: httpx.AsyncClient, node: LoginNode, wanted: str) -> None:
    await browser.post("/claim", data=claim_form(node))
    answer = await browser.post("/confirm", params={"next": wanted}, data={"password": PASSWORD})
    assert answer.headers["location"] == "/"


async def test_passkeys_are_not_offered_where_they_cannot_work(make_node: Callable[..., LoginNode]) -> None:
    node = make_node(access="https", public_url="https://203.0.113.7:3443")
    async with browser_of(node, "https://203.0.113.7:3443") as browser:
        page = (await browser.get("/claim")).text
        assert texts.NO_PASSKEY_ADDRESS in page
        assert 'data-way="passkey"' not in page
        assert 'data-way="wallet"' in page
        refused = await register(browser, "/claim", Authenticator(), node.setup_token.rotate())
        assert (refused.status_code, refused.json()["error"]) == (400, texts.NO_PASSKEY_ADDRESS)


async def test_a_passkey_of_another_name_is_not_offered(node: LoginNode, browser: httpx.AsyncClient) -> None:
    node.access.claim(NewMethod("passkey", "", None, b"id", b"key", 0, "node.example"))
    assert 'data-way="passkey"' not in (await browser.get("/login")).text


async def test_password_guessing_is_held_up_and_the_other_ways_are_not(
    browser: httpx.AsyncClient, node: LoginNode
) -> None:
    await browser.post("/claim", data=claim_form(node))
    key = Authenticator()
    await register(browser, "/security", key)
    await browser.post("/logout")
    answers = [(await browser.post("/login", data={"password": "x" * 300})).status_code for _ in range(15)]
    assert answers == [403] * 10 + [429] * 5
    assert (await browser.post("/login/passkey", json=await assertion(browser, "/login", key))).status_code == 200


async def test_sessions_are_listed_and_ended(browser: httpx.AsyncClient, node: LoginNode) -> None:
    await browser.post("/claim", data=claim_form(node))
    async with browser_of(node) as other, browser_of(node) as third:
        for client, agent in ((other, "Laptop"), (third, "<script>alert(1)</script>")):
            await client.post("/login", data={"password": PASSWORD}, headers={"user-agent": agent})
        page = (await browser.get("/security")).text
        assert "Laptop" in page
        assert "<script>alert" not in page
        own = next(s for s in node.sessions.living() if s.agent == "Laptop")
        ended = next(line for line in page.split("<tr>") if "Laptop" in line)
        identifier = ended.split('name="session" value="')[1].split('"')[0]
        assert own.token_hash.hex() not in page
        await browser.post("/security/sessions/end", data={"session": identifier})
        assert (await other.get("/")).status_code == 303
        assert (await third.get("/")).status_code == 200
        await browser.post("/security/sessions/end-others")
        assert (await third.get("/")).status_code == 303
        assert (await browser.get("/")).status_code == 200
    events = [entry.event for entry in node.audit.newest(50)]
    assert events.count("session_revoked") == 2
    assert "claimed" in events
