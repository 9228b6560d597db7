"""A person on another machine opens https://IP:3443, compares the fingerprint, claims by password, takes a backup.

Runs in the `tools` image: claim_tls.py URL TOKEN PASSWORD FINGERPRINT OUT. Writes OUT/backup.txt and OUT/tls.png.
The browser is told to go on in spite of the self-signed certificate, as the person decides after comparing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

PAGE_MILLISECONDS = 60_000


def main(url: str, token: str, password: str, fingerprint: str, out: str) -> None:
    """Claim the node at `url`; raises when anything is not as a person should see it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        context = browser.new_context(ignore_https_errors=True)
        context.set_default_timeout(PAGE_MILLISECONDS)
        page = context.new_page()
        page.goto(f"{url}/")
        expect(page.locator("footer")).to_contain_text(fingerprint)
        expect(page.locator("#no-passkey")).to_contain_text("IP address")
        expect(page.get_by_role("button", name="Claim with a passkey")).to_have_count(0)
        page.get_by_label("Setup token").fill(token)
        page.get_by_label("New password, 10 characters or more").fill(password)
        page.get_by_label("New password once more").fill(password)
        page.get_by_role("button", name="Claim with this password").click()
        expect(page.get_by_role("navigation")).to_be_visible()
        (cookie,) = context.cookies()
        assert (cookie["name"], cookie["secure"]) == ("__Host-swarm_session", True), cookie
        page.goto(f"{url}/backup")
        page.locator("#passphrase").fill("a passphrase for the test")
        page.locator("#passphrase_again").fill("a passphrase for the test")
        with page.expect_download() as download:
            page.locator("form[action='/backup/export'] button").click()
        download.value.save_as(Path(out) / "backup.txt")
        page.screenshot(path=str(Path(out) / "tls.png"))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
