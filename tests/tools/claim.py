"""A person claims the node in Chromium: opens the page, pastes the setup token, chooses a password, sees the rewards.

Runs in the `tools` image: claim.py URL TOKEN PASSWORD SCREENSHOT. Ends with 0 when the page says Registered.
"""

from __future__ import annotations

import re
import sys

from playwright.sync_api import expect, sync_playwright

PAGE_MILLISECONDS = 60_000


def main(url: str, token: str, password: str, screenshot: str) -> None:
    """Claim the node at `url` and save a picture of its page."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1100, "height": 900}, color_scheme="light")
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url, timeout=PAGE_MILLISECONDS)
        expect(page).to_have_url(re.compile(r"/claim$"))
        page.get_by_label("token").fill(token)
        fields = page.locator("input[type=password]")
        fields.nth(0).fill(password)
        fields.nth(1).fill(password)
        page.get_by_role("button", name="Claim with this password").click()
        expect(page).to_have_url(url, timeout=PAGE_MILLISECONDS)
        expect(page.locator("#main")).to_contain_text("Registered", timeout=PAGE_MILLISECONDS)
        page.reload()
        page.screenshot(path=screenshot, full_page=True)
        browser.close()
    if complaints:
        sys.exit(f"the browser complained: {complaints}")


if __name__ == "__main__":
    main(*sys.argv[1:])
