"""What a person does on the page, as functions for the browser tests."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from playwright.sync_api import Locator, Page, expect
from tests.support.login_service import Login

PASSWORD = "correct horse battery"


def claim_with_password(page: Page, login: Login, origin: str = "") -> None:
    """Open the node, paste the token, choose a password."""
    page.goto((origin or login.origin) + "/")
    expect(page).to_have_url(re.compile("/claim$"))
    page.get_by_label("Setup token").fill(login.setup_token())
    page.get_by_label("New password, 10 characters or more").fill(PASSWORD)
    page.get_by_label("New password once more").fill(PASSWORD)
    page.get_by_role("button", name="Claim with this password").click()
    expect(page.get_by_role("navigation")).to_be_visible()


def claim_with(page: Page, login: Login, way: str, origin: str = "") -> None:
    """Open the node, paste the token, choose `way` (passkey or wallet)."""
    page.goto((origin or login.origin) + "/")
    page.get_by_label("Setup token").fill(login.setup_token())
    page.get_by_role("button", name=f"Claim with a {way}").click()
    expect(page.get_by_role("navigation")).to_be_visible()


def press(page: Page, button: str, wanted: Locator) -> None:
    """Press a button until `wanted` is there, three times at most, as the page asks for when a request got lost.

    Chromium drops what is in flight whenever a network comes or goes, and Docker makes networks beside the tests.
    """
    for last in (False, False, True):
        page.get_by_role("button", name=button).click()
        try:
            expect(wanted).to_be_visible(timeout=10_000)
            return
        except AssertionError:
            if last or "Failed to fetch" not in page.get_by_role("alert").inner_text():
                raise


def sign_out(page: Page) -> None:
    """End the session."""
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login$"))


def forget_proofs(login: Login) -> None:
    """As if the last proof were long ago."""
    with sqlite3.connect(login.directory / "state/access.sqlite", timeout=5) as database:
        database.execute("UPDATE sessions SET proved_at = 0")
    database.close()


def account_file(directory: Path) -> str:
    """The address in the keystore."""
    return (directory / "keys/account/keystore.json").read_text().lower()
