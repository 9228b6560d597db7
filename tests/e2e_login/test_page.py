"""Password and wallet in Chromium, the settings, the pages on a phone, and what other sites cannot do."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from tests.e2e_login.steps import PASSWORD, claim_with, claim_with_password, sign_out
from tests.support.authenticator import SoftWallet
from tests.support.chromium import NAME, give_wallet
from tests.support.login_service import Login, wait_until

PAGES = ("/", "/identity", "/outbox", "/backup", "/settings", "/security")


def test_everything_by_password_without_javascript(make_context: Callable[..., BrowserContext], login: Login) -> None:
    page = make_context(java_script_enabled=False).new_page()
    page.goto(f"{login.origin}/")
    page.get_by_label("Setup token").fill("x" * 32)
    for label in ("New password, 10 characters or more", "New password once more"):
        page.get_by_label(label).fill(PASSWORD)
    page.get_by_role("button", name="Claim with this password").click()
    expect(page.get_by_role("alert")).to_contain_text("not the current setup token")
    token = login.setup_token()
    claim_with_password(page, login)
    for path in PAGES:
        page.goto(f"{login.origin}{path}")
        expect(page.locator("main h1").first).to_be_visible()
    page.goto(f"{login.origin}/settings")
    page.get_by_label(re.compile("^auto:")).check()
    page.get_by_label(re.compile("bets its market tokens")).check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    with login.api() as api:
        told = api.get("node-settings").json()
    assert (told["model"], told["market"], told["hub_push"]) == ("auto", True, False)
    sign_out(page)
    page.get_by_label("Password").fill("a wrong password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not the password")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation")).to_be_visible()

    late = make_context(java_script_enabled=False).new_page()
    late.goto(f"{login.origin}/claim")
    expect(late).to_have_url(re.compile("/login$"))
    with login.browser() as client:
        again = client.post("/claim", data={"token": token, "password": PASSWORD, "password_again": PASSWORD})
        assert again.headers["location"] == "/login", "a used token is worthless"


def test_a_wallet_claims_and_signs_in_and_a_stranger_does_not(
    make_context: Callable[..., BrowserContext], login: Login
) -> None:
    wallet = SoftWallet()
    page = make_context().new_page()
    give_wallet(page, wallet)
    claim_with(page, login, "wallet")
    sign_out(page)
    page.get_by_role("button", name="Sign in with a wallet").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    page.goto(f"{login.origin}/security")
    expect(page.locator("main")).to_contain_text(wallet.address)

    stranger = make_context().new_page()
    give_wallet(stranger, SoftWallet())
    stranger.goto(f"{login.origin}/login")
    stranger.get_by_role("button", name="Sign in with a wallet").click()
    expect(stranger.get_by_role("alert")).to_contain_text("not one of a wallet that may sign in")
    without = make_context().new_page()
    without.goto(f"{login.origin}/login")
    without.get_by_role("button", name="Sign in with a wallet").click()
    expect(without.get_by_role("alert")).to_contain_text("No wallet was found")


@pytest.fixture
def evil_site() -> Iterator[str]:
    """Another site on this machine, which makes the visitor's browser send things to the node."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(b"<h1>evil</h1>")

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    yield f"http://localhost:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_other_sites_can_do_nothing(page: Page, login: Login, evil_site: str) -> None:
    claim_with_password(page, login)
    before = login.status().model_dump(include={"claimed", "account"})
    other = page.context.new_page()
    other.goto(evil_site)
    for path in ("/logout", "/security/sessions/end-others", "/settings", "/backup/moved"):
        with other.expect_navigation(url=f"{login.origin}{path}") as told:
            other.evaluate(
                """(action) => { const form = document.createElement("form"); form.method = "post";
                   form.action = action; document.body.append(form); form.submit(); }""",
                f"{login.origin}{path}",
            )
        assert told.value.status == 403, path
        other.goto(evil_site)
    read = """async (url) => fetch(url, { credentials: "include" }).then((a) => a.text(), (e) => e.name)"""
    assert other.evaluate(read, f"{login.origin}/") == "TypeError", "another origin reads nothing"
    framed = """(url) => new Promise((done) => { const f = document.createElement("iframe"); f.src = url;
        f.onload = () => done(f.contentDocument === null ? "blocked" : "shown"); document.body.append(f); })"""
    assert other.evaluate(framed, f"{login.origin}/") == "blocked"
    rebound = page.context.new_page()
    answer = rebound.goto(f"http://{NAME}:{login.http_port}/")
    assert answer is not None
    assert answer.status == 421
    moved = rebound.goto(f"http://127.0.0.1:{login.http_port}/")
    assert moved is not None
    assert rebound.url.startswith(login.origin), "one name for one node"
    page.reload()
    expect(page.get_by_role("navigation")).to_be_visible()
    assert login.status().model_dump(include={"claimed", "account"}) == before


def test_the_session_outlives_every_restart_and_a_reset_ends_it(page: Page, login: Login) -> None:
    claim_with_password(page, login)
    for end in (login.stop, login.kill):
        end()
        login.start()
        page.reload()
        expect(page.get_by_role("navigation")).to_be_visible()
    printed = login.command("reset-owner")
    assert "The owner is forgotten" in printed
    token = re.findall(r"setup token: (\S+)", printed)[0]
    page.goto(f"{login.origin}/")
    expect(page).to_have_url(re.compile("/claim$"))
    wait_until(lambda: login.setup_token() == token, 10)
    account = login.status().account
    claim_with_password(page, login)
    assert login.status().account == account, "the account stays"
    page.goto(f"{login.origin}/security")
    expect(page.locator("main")).to_contain_text("Owner reset on the command line")


def test_on_a_phone_nothing_is_wider_than_the_screen(make_context: Callable[..., BrowserContext], login: Login) -> None:
    page = make_context(viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True).new_page()
    claim_with_password(page, login)
    for path in PAGES:
        page.goto(f"{login.origin}{path}")
        wide = page.evaluate(
            """() => [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > 361
               && !e.parentElement.closest(".scroll, .tabs")).map((e) => e.outerHTML.slice(0, 90))"""
        )
        assert wide == [], path
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_the_keyboard_reaches_everything(page: Page, login: Login) -> None:
    page.goto(f"{login.origin}/claim")
    told = """() => { const e = document.activeElement;
        return [e.id || e.textContent.trim(), getComputedStyle(e).outlineStyle]; }"""
    outlines: dict[str, str] = {}
    for _ in range(12):
        page.keyboard.press("Tab")
        name, outline = page.evaluate(told)
        outlines[name] = outline
    for wanted in ("password", "password_again", "Claim with this password"):
        assert outlines.get(wanted, "none") != "none", f"{wanted} is reached, and one sees that it is: {outlines}"


def test_every_answer_of_a_claimed_node_is_locked_down(page: Page, login: Login) -> None:
    claim_with_password(page, login)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    for path in PAGES:
        answer = page.goto(f"{login.origin}{path}")
        assert answer is not None
        headers = answer.headers
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert (headers["cache-control"], headers["x-frame-options"]) == ("no-store", "DENY")
    assert complaints == [], "the policy blocks nothing of our own"
    assert httpx.get(f"{login.origin}/openapi.json").status_code == 404
