"""Passkeys in Chromium: on localhost and on a name with a trusted CA; what browsers refuse, and what we refuse.

With a virtual authenticator Chromium skips its TLS checks (findings, section 2), so the test of those uses none.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Error, Page, expect
from tests.e2e_login.steps import claim_with, claim_with_password, forget_proofs, press, sign_out
from tests.support.chromium import NAME, Passkeys
from tests.support.login_service import Login
from tests.support.ports import free_port

_CREATE = """async () => {
  const publicKey = {
    challenge: new Uint8Array(32), rp: { name: "t", id: location.hostname },
    user: { id: new Uint8Array(16), name: "u", displayName: "u" }, pubKeyCredParams: [{ type: "public-key", alg: -7 }],
    authenticatorSelection: { residentKey: "required", userVerification: "required" },
  };
  const waiting = new Promise((done) => setTimeout(() => done("pending"), 4000));
  const failed = (error) => `${error.name}: ${error.message}`;
  const asked = navigator.credentials.create({ publicKey }).then(() => "made", failed);
  return Promise.race([asked, waiting]);
}"""


def test_a_passkey_on_localhost_claims_signs_in_and_confirms(page: Page, login: Login) -> None:
    keys = Passkeys(page)
    claim_with(page, login, "passkey")
    (made,) = keys.credentials()
    assert (made["isResidentCredential"], made["rpId"]) == (True, "localhost")
    sign_out(page)
    sent: list[str] = []
    page.on(
        "request", lambda request: sent.append(request.post_data or "") if request.url.endswith("/passkey") else None
    )
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("navigation")).to_be_visible()

    forget_proofs(login)
    page.goto(f"{login.origin}/security")
    page.get_by_label("New password, 10 characters or more").fill("another password")
    page.get_by_label("New password once more").fill("another password")
    page.get_by_role("button", name="Save the password").click()
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    page.get_by_role("button", name="Confirm with a passkey").click()
    expect(page.get_by_role("heading", name="Ways to sign in")).to_be_visible()

    sign_out(page)
    replay = """async (body) => (await fetch("/login/passkey",
        { method: "POST", headers: { "content-type": "application/json" }, body })).status"""
    assert page.evaluate(replay, sent[0]) == 403, "a recorded assertion is worthless"
    assert page.evaluate(replay, json.dumps({"ticket": "x", "credential": {}})) == 403
    page.goto(f"{login.origin}/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_another_authenticator_or_one_without_verification_is_refused(
    make_context: Callable[..., BrowserContext], login: Login
) -> None:
    owner = make_context().new_page()
    keys = Passkeys(owner)
    claim_with(owner, login, "passkey")
    (made,) = keys.credentials()

    stranger = make_context().new_page()
    foreign = Passkeys(stranger)
    stranger.goto(f"{login.origin}/login")
    stranger.evaluate(
        """async () => navigator.credentials.create({ publicKey: { challenge: new Uint8Array(32),
           rp: { name: "t", id: "localhost" }, user: { id: new Uint8Array(16), name: "u", displayName: "u" },
           pubKeyCredParams: [{ type: "public-key", alg: -7 }],
           authenticatorSelection: { residentKey: "required", userVerification: "required" } } }).then(() => true)"""
    )
    assert len(foreign.credentials()) == 1
    stranger.get_by_role("button", name="Sign in with a passkey").click()
    expect(stranger.get_by_role("alert")).to_contain_text("not one of this node")

    unverified = make_context().new_page()
    Passkeys(unverified, verified=False).add(made)
    unverified.goto(f"{login.origin}/login")
    unverified.get_by_role("button", name="Sign in with a passkey").click()
    expect(unverified.get_by_role("alert")).to_be_visible()
    unverified.goto(f"{login.origin}/")
    expect(unverified.get_by_role("heading", name="Sign in")).to_be_visible()

    owner.goto(f"{login.origin}/security")
    owner.get_by_role("button", name="Add a passkey").click()
    expect(owner.get_by_role("alert")).to_be_visible()
    assert len(keys.credentials()) == 1, "an authenticator that holds one already declines"


def test_a_passkey_on_a_name_with_a_trusted_ca_behind_caddy(
    page: Page, make_login: Callable[..., Login], caddy: Callable[[Login, int], None]
) -> None:
    port = free_port()
    origin = f"https://{NAME}:{port}"
    login = make_login(environment={"SWARM_ACCESS": "domain", "SWARM_PUBLIC_URL": origin}).start()
    caddy(login, port)
    keys = Passkeys(page)
    claim_with(page, login, "passkey", origin)
    assert [credential["rpId"] for credential in keys.credentials()] == [NAME]
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"]) == ("__Host-swarm_session", True, True)
    sign_out(page)
    press(page, "Sign in with a passkey", page.get_by_role("navigation"))


def test_what_browsers_say_without_a_virtual_authenticator(
    make_context: Callable[..., BrowserContext], make_login: Callable[..., Login], caddy: Callable[[Login, int], None]
) -> None:
    port, https = free_port(), free_port()
    origin = f"https://{NAME}:{port}"
    trusted = make_login("trusted", environment={"SWARM_ACCESS": "domain", "SWARM_PUBLIC_URL": origin}).start()
    caddy(trusted, port)
    own = make_login(
        "own",
        environment={
            "SWARM_ACCESS": "https", "SWARM_HTTPS_PORT": str(https), "SWARM_PUBLIC_URL": f"https://{NAME}:{https}",
        },
    ).start()  # fmt: skip
    page = make_context().new_page()
    page.goto(f"{origin}/claim")
    assert page.evaluate(_CREATE) == "pending", "the browser waits for an authenticator"

    other = make_context().new_page()
    with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
        other.goto(f"https://{NAME}:{https}/claim")
    pass_the_warning(other)
    expect(other.get_by_role("heading", name="Claim this node")).to_be_visible()
    assert "TLS certificate errors" in other.evaluate(_CREATE)
    expect(other.locator("#no-passkey")).to_contain_text("self-signed")
    expect(other.get_by_role("button", name="Claim with a passkey")).to_have_count(0)
    claim_with_password_on(other, own, f"https://{NAME}:{https}")


def pass_the_warning(page: Page) -> None:
    """Type what opens a page in spite of Chromium's warning; again if the warning was not listening yet."""
    warning = page.get_by_role("button", name="Back to safety")
    expect(warning).to_be_visible()
    for _ in range(3):
        page.keyboard.type("thisisunsafe")
        try:
            expect(warning).to_have_count(0, timeout=5_000)
            return
        except AssertionError:
            continue


def claim_with_password_on(page: Page, login: Login, origin: str) -> None:
    """The password works where the passkey does not."""
    claim_with_password(page, login, origin)
    (cookie,) = page.context.cookies()
    assert cookie["name"] == "__Host-swarm_session"
