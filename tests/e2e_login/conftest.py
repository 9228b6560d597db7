"""Real login services on a real chain, Debian's Chromium in the tools image, Caddy with the shipped Caddyfile."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright
from tests.e2e.conftest import clone, images
from tests.support.authority import Authority, make_authority
from tests.support.chains import Anvil, LocalChain, anvil_binary, deploy_chain
from tests.support.chromium import NAME, chromium
from tests.support.login_service import Daemon, Login, wait_until
from tests.support.ports import free_port

from swarm_core.identity import generate_key, parse_key

ROOT = Path(__file__).resolve().parents[2]
PAGE_MILLISECONDS = 30_000
__all__ = ["clone", "images"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Another image than the one `make images` builds."""
    parser.addoption("--tools-image", default="rl-swarm/tools:local", help="image with Chromium and Caddy")


@pytest.fixture(scope="session")
def tools_image(request: pytest.FixtureRequest) -> str:
    """The image with Chromium, certutil and Caddy."""
    return str(request.config.getoption("--tools-image"))


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalChain]:
    """One chain for all tests."""
    anvil = Anvil(anvil_binary())
    yield deploy_chain(anvil, tmp_path_factory.mktemp("chain"))
    anvil.stop(kill=True)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the browser trusts, with a certificate for node.test."""
    directory = tmp_path_factory.mktemp("authority")
    for parent in (directory, *directory.parents[:2]):
        parent.chmod(0o755)
    return make_authority(directory, NAME)


@pytest.fixture(scope="session")
def playwright(chain: LocalChain) -> Iterator[Playwright]:
    """The driver. After the chain: deploying it runs an event loop, and the driver holds one from here on."""
    expect.set_options(timeout=PAGE_MILLISECONDS)  # a busy machine is slow, not wrong
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright, tools_image: str, authority: Authority) -> Iterator[Browser]:
    """One browser; every test has a context of its own."""
    with chromium(playwright, tools_image, [authority.ca], "e2e-login") as started:
        yield started


@pytest.fixture
def make_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes contexts: cookies and authenticators of their own."""
    made: list[BrowserContext] = []

    def make(**options: object) -> BrowserContext:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(PAGE_MILLISECONDS)
        made.append(context)
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def page(make_context: Callable[..., BrowserContext]) -> Page:
    """A page of a fresh context."""
    return make_context().new_page()


@pytest.fixture
def peer_pem() -> bytes:
    """A swarm.pem. A new one for each test: the first account that names a peer owns it, and the chain is shared."""
    return generate_key()


@pytest.fixture
def make_login(chain: LocalChain, tmp_path: Path) -> Iterator[Callable[..., Login]]:
    """Makes installations; what runs at the end is stopped."""
    made: list[Login] = []

    def make(name: str = "login", **options: object) -> Login:
        made.append(Login(tmp_path / name, chain, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for login in made:
        login.kill()


@pytest.fixture
def login(make_login: Callable[..., Login], peer_pem: bytes) -> Iterator[Login]:
    """A running, unclaimed node with a peer."""
    made = make_login()
    daemon = Daemon(made.directory / "run/dht.sock", parse_key(peer_pem))
    (made.directory / "keys/peer").mkdir()
    (made.directory / "keys/peer/swarm.pem").write_bytes(peer_pem)
    yield made.start()
    daemon.close()


@pytest.fixture
def caddy(tools_image: str, authority: Authority) -> Iterator[Callable[[Login, int], None]]:
    """Starts Caddy with the shipped Caddyfile in front of a login service, under the authority's certificate."""
    started: list[str] = []

    def start(login: Login, port: int) -> None:
        command = [
            "docker", "run", "--rm", "--detach", "--init", "--user", "1000:1000", "--label", "rlswarm-test=e2e-login",
            "--publish", f"127.0.0.1:{port}:{port}", "--add-host", "host.docker.internal:host-gateway",
            "--env", f"SWARM_PUBLIC_URL=https://{NAME}:{port}", "--env", "XDG_DATA_HOME=/tmp",
            "--env", "SWARM_CADDY_TLS=tls /tls/certificate.pem /tls/key.pem",
            "--env", f"SWARM_CADDY_UPSTREAM=host.docker.internal:{login.http_port}",
            "--volume", f"{authority.certificate.parent}:/tls:ro",
            "--volume", f"{ROOT}/compose/Caddyfile:/Caddyfile:ro",
            tools_image, "caddy", "run", "--config", "/Caddyfile", "--adapter", "caddyfile",
        ]  # fmt: skip
        ran = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        started.append(ran.stdout.strip())
        probe = ["curl", "-s", "-o", "/dev/null", "--cacert", str(authority.ca), "--resolve",
                 f"{NAME}:{port}:127.0.0.1", f"https://{NAME}:{port}/healthz"]  # fmt: skip
        wait_until(lambda: subprocess.run(probe, check=False, timeout=10).returncode == 0, 30)

    yield start
    for container in started:
        subprocess.run(["docker", "kill", container], check=False, capture_output=True, timeout=60)


@pytest.fixture
def port() -> int:
    """A free port."""
    return free_port()
