"""Debian's Chromium in the `tools` image, driven over its debugging port: the host needs Docker only.

The container shares the host's network and trusts the certificate authorities that it is given.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, CDPSession, Page, Playwright
from tests.support.authenticator import SoftWallet
from tests.support.login_service import wait_until
from tests.support.ports import free_port

NAME = "node.test"  # resolved to this machine by the browser
_START = """
mkdir -p /tmp/home/.pki/nssdb
certutil -d sql:/tmp/home/.pki/nssdb -N --empty-password
for ca in /cas/*.pem; do [ -e "$ca" ] && certutil -d sql:/tmp/home/.pki/nssdb -A -t C,, -n "$ca" -i "$ca"; done
HOME=/tmp/home exec chromium --headless=new --no-sandbox --disable-dev-shm-usage --disable-gpu --no-first-run \
    --hide-scrollbars --user-data-dir=/tmp/profile --remote-debugging-port=$0 \
    --host-resolver-rules="MAP node.test 127.0.0.1" about:blank
"""
_PROVIDER = """
window.ethereum = {
  request: async ({ method, params }) => {
    const answer = await window.walletOfTheTest(method, params ?? []);
    if (answer === null) throw new Error("the wallet does not know " + method);
    return answer;
  },
};
"""


@contextmanager
def chromium(playwright: Playwright, image: str, authorities: list[Path], label: str) -> Iterator[Browser]:
    """A browser that trusts `authorities` (PEM files); its container is removed at the end."""
    port = free_port()
    cas = Path(tempfile.mkdtemp(prefix="rlswarm-cas-"))
    cas.chmod(0o755)
    for number, authority in enumerate(authorities):
        target = cas / f"ca{number}.pem"
        target.write_bytes(authority.read_bytes())
        target.chmod(0o644)
    command = [
        "docker", "run", "--rm", "--detach", "--init", "--network", "host", "--user", "1000:1000",
        "--label", f"rlswarm-test={label}", "--volume", f"{cas}:/cas:ro", image, "bash", "-c", _START, str(port),
    ]  # fmt: skip
    container = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    try:
        wait_until(lambda: _answers(port), 60)
        browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}", timeout=60_000)
        yield browser
        browser.close()
    finally:
        subprocess.run(["docker", "kill", container], check=False, capture_output=True, timeout=60)
        shutil.rmtree(cas, ignore_errors=True)


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/json/version", timeout=2.0, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


class Passkeys:
    """A virtual authenticator of a page. With it Chromium does not check TLS errors: see `guards` in the tests."""

    def __init__(self, page: Page, *, verified: bool = True) -> None:
        self._devtools: CDPSession = page.context.new_cdp_session(page)
        self._devtools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
            "isUserVerified": verified, "automaticPresenceSimulation": True,
        }  # fmt: skip
        self.id = str(self._devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"])

    def credentials(self) -> list[dict[str, Any]]:
        """What it holds."""
        found = self._devtools.send("WebAuthn.getCredentials", {"authenticatorId": self.id})
        return list(found["credentials"])

    def add(self, credential: dict[str, Any]) -> None:
        """Put in what another one held."""
        self._devtools.send("WebAuthn.addCredential", {"authenticatorId": self.id, "credential": credential})


def give_wallet(page: Page, wallet: SoftWallet) -> None:
    """An EIP-1193 provider in the page, as a wallet extension injects it. Before the page is opened."""

    def answer(source: Any, method: str, parameters: list[str]) -> Any:
        if method == "eth_requestAccounts":
            return [wallet.address.lower()]
        if method == "personal_sign":
            return wallet.sign(bytes.fromhex(parameters[0].removeprefix("0x")).decode())
        return None

    page.expose_binding("walletOfTheTest", answer)
    page.add_init_script(_PROVIDER)
