"""Whole stacks under Compose: one session outlives every restart, `down` and `up` and an image rebuild; mode B from
another network namespace; a backup brings the node and its extra peer back on a second stack; Caddy in front.

The tests share the first stack and run in this order.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect
from tests.e2e.stack import Stack, wait_until
from tests.e2e_login.steps import PASSWORD
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "a passphrase for the test"  # the one of tests/tools/claim_tls.py
NAME = "node.test"
REBUILT = "e2e-rebuilt"


class Visitor(httpx.Client):
    """A browser that signed in once and keeps its cookie."""

    def __init__(self, stack: Stack) -> None:
        origin = f"http://localhost:{stack.login_port}"
        super().__init__(base_url=origin, headers={"origin": origin}, timeout=10.0, trust_env=False)

    def is_signed_in(self) -> bool:
        """Whether the page still knows the session; False also while it does not answer."""
        try:
            return self.get("/security").status_code == 200
        except httpx.TransportError:
            return False


def fingerprint_of(port: int) -> str:
    """SHA-256 of the certificate that is really served."""
    try:
        pem = ssl.get_server_certificate(("127.0.0.1", port), timeout=10)
    except OSError:
        return ""
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest().upper()
    return ":".join(digest[i : i + 2] for i in range(0, 64, 2))


def gateway(stack: Stack) -> str:
    """This machine's address as a container of Docker's default network sees it."""
    subnet = stack.docker.networks.get("bridge").attrs["IPAM"]["Config"][0]["Subnet"]
    return str(ipaddress.ip_network(subnet)[1])


def setup_token(stack: Stack) -> str:
    return str(re.findall(r"setup_token=(\S+)", stack.logs("login-proxy"))[-1])


def peers_of(stack: Stack) -> dict[str, str]:
    """node -> peer id, of the peers that are registered."""
    status = stack.get("login-proxy")
    return {peer["node"]: peer["peer_id"] for peer in status["peers"] if peer["state"] == "registered"}


def made(clone: Path, name: str, **settings: str) -> Iterator[Stack]:
    stack = Stack(clone, f"rlswarm-e2e-login-{name}-{os.getpid()}", **settings)
    try:
        yield stack
    except BaseException:
        print(stack.compose("ps", "--all", check=False), stack.compose("logs", "--tail", "60", check=False))
        raise
    finally:
        stack.down()


@pytest.fixture(scope="module")
def first(clone: Path, images: None) -> Iterator[Stack]:
    """A stack in access mode https, unclaimed."""
    port = str(free_port())
    for stack in made(clone, "first", SWARM_ACCESS="https", SWARM_HTTPS_PUBLISHED_PORT=port):
        stack.up()
        yield stack


@pytest.fixture(scope="module")
def visitor(first: Stack) -> Iterator[Visitor]:
    """The owner's browser."""
    with Visitor(first) as browser:
        yield browser


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser on the other machine puts the backup."""
    directory = tmp_path_factory.mktemp("saved")
    directory.chmod(0o777)
    return directory


def test_a_claim_and_a_backup_from_another_network_namespace(first: Stack, saved: Path, tools_image: str) -> None:
    port, address = int(first.settings["SWARM_HTTPS_PUBLISHED_PORT"]), gateway(first)
    shown = fingerprint_of(port)
    assert shown
    assert shown in first.logs("login-proxy")
    wait_until("both peers are seen", 60, lambda: len(first.get("login-proxy")["peers"]) == 2)
    command = [
        "python", "/repo/tests/tools/claim_tls.py", f"https://{address}:{port}", setup_token(first), PASSWORD, shown,
        "/out",
    ]  # fmt: skip
    first.docker.containers.run(
        tools_image, command,
        volumes={str(ROOT): {"bind": "/repo", "mode": "ro"}, str(saved): {"bind": "/out"}},
        init=True, remove=True, labels={"rlswarm-test": first.project},
    )  # fmt: skip
    wait_until("both peers are registered", 60, lambda: len(peers_of(first)) == 2)
    assert not first.get("login-proxy")["backup_missing"], "the backup had both peers"
    plain = httpx.get(f"http://{address}:{port}/login", trust_env=False)
    assert (plain.status_code, plain.headers["location"]) == (307, f"https://{address}:{port}/login")


@pytest.mark.timeout(480)  # the deadlines below count; this is for a busy machine
def test_one_session_outlives_everything(first: Stack, visitor: Visitor, clone: Path) -> None:
    port = int(first.settings["SWARM_HTTPS_PUBLISHED_PORT"])
    before = {"certificate": fingerprint_of(port), "account": first.get("login-proxy")["account"]} | peers_of(first)
    assert visitor.post("/login", data={"password": PASSWORD}).status_code == 303
    assert visitor.is_signed_in()

    def goes_on(after: str, seconds: float = 120) -> None:
        wait_until(f"signed in after {after}", 60, visitor.is_signed_in)
        wait_until(
            f"the same node after {after}", seconds,
            lambda: {"certificate": fingerprint_of(port), "account": first.get("login-proxy")["account"]}
            | peers_of(first) == before,
        )  # fmt: skip

    for service in first.services():
        first.compose("restart", "--timeout", "5", service)
        wait_until(f"signed in after a restart of {service}", 60, visitor.is_signed_in)
    goes_on("a restart of each container")
    first.compose("restart", "--timeout", "5")
    goes_on("a restart of all containers")
    first.compose("down", "--timeout", "5")
    first.up()
    goes_on("down and up")

    old = first.container("login-proxy").image.id
    source = clone / "services/swarm_core/__init__.py"
    source.write_text(source.read_text() + "# rebuilt\n")
    try:
        first.compose("up", "--build", "--detach", "--wait", seconds=400, SWARM_IMAGE_TAG=REBUILT)
        assert first.container("login-proxy").image.id != old
        goes_on("a rebuild of the images")
        started = time.time()
        wait_until(
            "rounds are trained and delivered", 90,
            lambda: first.get("node")["last_progress"] > started and first.get("login-proxy")["state"] == "registered",
        )  # fmt: skip
    finally:
        source.write_text(source.read_text().removesuffix("# rebuilt\n"))
    page = visitor.get("/security").text
    assert page.count("Signed in</td>") == 1, "one sign-in in all"
    assert "setup_token" not in first.logs("login-proxy")


@pytest.fixture
def second(clone: Path, images: None) -> Iterator[Stack]:
    """Another machine's stack, unclaimed."""
    for stack in made(clone, "second"):
        stack.up()
        yield stack


@pytest.mark.timeout(480)
def test_a_backup_brings_node_and_extra_peer_back_on_a_second_stack(
    first: Stack, second: Stack, saved: Path, make_context: Callable[..., BrowserContext]
) -> None:
    identity, account = peers_of(first), first.get("login-proxy")["account"]
    first.compose("stop", "--timeout", "5")  # moved, not copied
    page = make_context().new_page()
    origin = f"http://localhost:{second.login_port}"
    page.goto(f"{origin}/claim")
    page.get_by_label("Setup token").fill(setup_token(second))
    page.get_by_label("New password, 10 characters or more").fill(PASSWORD)
    page.get_by_label("New password once more").fill(PASSWORD)
    page.get_by_role("button", name="Claim with this password").click()
    expect(page.get_by_role("navigation")).to_be_visible()
    wait_until("two peers of its own", 60, lambda: len(peers_of(second)) == 2)
    own = peers_of(second)
    assert not set(own.values()) & set(identity.values())
    page.goto(f"{origin}/backup")
    page.locator("#bundle").fill((saved / "backup.txt").read_text())
    page.locator("#opens").fill(PASSPHRASE)
    page.locator("form[action='/backup/open'] button").click()
    for shown in (*identity.values(), account):
        expect(page.locator("main")).to_contain_text(shown)
    page.locator("form[action='/backup/restore'] button").click()
    expect(page.get_by_role("status")).to_contain_text("was restored")
    wait_until("node and extra peer are back", 120, lambda: peers_of(second) == identity)
    assert second.get("login-proxy")["account"] == account
    assert {"main": second.get("dht")["peer_id"], "peer-1": second.get("peer-dht")["peer_id"]} == identity
    wait_until(
        "they earn", 120, lambda: all(peer["delivered_total"] for peer in second.get("login-proxy")["peers"])
    )  # fmt: skip
    # what they had is kept, and the command line makes the same backup
    listed = second.compose("exec", "-T", "login-proxy", "find", "/keys", "/peer-keys", "-name", "replaced-Qm*.pem")
    assert all(f"replaced-{peer}.pem" in listed for peer in own.values()), listed
    export = f"(umask 077; echo '{PASSPHRASE}' > /tmp/p); swarm-identity export /state/b.txt --passphrase-file /tmp/p"
    second.compose("exec", "-T", "login-proxy", "sh", "-c", export)
    second.compose("cp", "login-proxy:/state/b.txt", str(saved / "again.txt"))
    inspect = "swarm-identity inspect - --passphrase-file /tmp/p < /state/b.txt"
    told = json.loads(second.compose("exec", "-T", "login-proxy", "sh", "-c", inspect))
    assert told["opens"]
    assert (told["account"], told["peer_id"]) == (account, identity["main"])
    assert told["extra_peers"] == {"1": identity["peer-1"]}

    # and takes it, on the first stack, whose login service is stopped
    (saved / "passphrase").write_text(PASSPHRASE)
    (saved / "passphrase").chmod(0o644)
    first.compose(
        "run", "--rm", "--no-deps", "-T", "--volume", f"{saved}:/backup:ro", "login-proxy", "swarm-identity", "import",
        "/backup/again.txt", "--passphrase-file", "/backup/passphrase", "--yes",
    )  # fmt: skip


def test_caddy_in_front(first: Stack, tools_image: str) -> None:
    port, plain = free_port(), free_port()
    origin = f"https://{NAME}:{port}"
    first.settings |= {
        "SWARM_ACCESS": "domain", "SWARM_PUBLIC_URL": origin, "COMPOSE_PROFILES": "caddy", "CADDY_IMAGE": tools_image,
        "SWARM_CADDY_TLS": "tls internal", "SWARM_CADDY_BIND": "127.0.0.1", "SWARM_CADDY_HTTP_PORT": str(plain),
        "SWARM_CADDY_HTTPS_PORT": str(port),
    }  # fmt: skip
    first.compose("build", "--quiet", "caddy", seconds=300)
    first.up("login-proxy", "caddy")
    read = ("exec", "-T", "caddy", "cat", "/data/caddy/pki/authorities/local/root.crt")
    wait_until("Caddy has made its authority", 30, lambda: "END CERT" in first.try_compose(*read)[1])
    authority = ssl.create_default_context(cadata=first.compose(*read))

    def ask(method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        own = {"host": f"{NAME}:{port}", "origin": origin} | (headers or {})
        url, sni = f"https://127.0.0.1:{port}{path}", {"sni_hostname": NAME}
        with httpx.Client(verify=authority, timeout=20.0, trust_env=False) as client:
            return client.request(method, url, headers=own, extensions=sni, **more)

    def certificate() -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), 10) as raw,
            authority.wrap_socket(raw, server_hostname=NAME) as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""

    asked = ask("GET", "/login")
    assert (asked.status_code, "Sign in" in asked.text) == (200, True), "whoever owned the node owns it still"
    assert "max-age" in asked.headers["strict-transport-security"]
    assert asked.headers["content-security-policy"].startswith("default-src 'none'")
    assert "server" not in asked.headers
    forged = {"x-forwarded-for": "203.0.113.99"}
    wrong = ask("POST", "/login", forged, data={"password": "a wrong password"})
    assert wrong.status_code == 403
    cookie = ask("POST", "/login", forged, data={"password": PASSWORD}).headers["set-cookie"]
    assert re.match(r"__Host-swarm_session=[\w-]{43}; HttpOnly; .*Secure", cookie), cookie
    session = {"cookie": cookie.partition(";")[0]}
    page = ask("GET", "/security", session)
    assert page.status_code == 200
    assert "Sign-in refused" in page.text
    assert "203.0.113.99" not in page.text, "nobody chooses the address that is written down"
    assert "Sign in" not in ask("GET", "/login", {"host": f"evil.test:{port}"}).text
    kept = certificate()
    first.compose("restart", "--timeout", "5", "caddy", "login-proxy")
    wait_until("signed in after a restart", 60, lambda: answers(ask, session))
    assert certificate() == kept
    told = httpx.get(f"http://127.0.0.1:{plain}/login", headers={"host": NAME}, trust_env=False)
    assert (told.status_code, told.headers["location"]) == (308, f"{origin}/login")


def answers(ask: Callable[..., httpx.Response], session: dict[str, str]) -> bool:
    """Whether the page is there and knows the session."""
    try:
        return ask("GET", "/security", session).status_code == 200
    except httpx.TransportError:
        return False
