"""The real login service as a child process, and stand-ins for what it talks to: peers' daemons and a faulty RPC."""

from __future__ import annotations

import base64
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import httpx
from tests.support.chains import LocalChain
from tests.support.ports import free_port

from swarm_core.identity import PeerKey, sign_binding
from swarm_core.status import DhtStatus, LoginStatus, NodeStatus

ROOT = Path(__file__).resolve().parents[2]
_SOURCES = ("services", "node", "login-proxy", "monitoring")


def wait_until(check: Callable[[], Any], seconds: float = 20.0, pause: float = 0.1) -> Any:
    """The first true value of `check`, polled; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(
                f"not reached within {seconds} s: {getattr(check, '__name__', check)!r}, last {value!r}"
            )
        time.sleep(pause)  # between two polls with a deadline


class _UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("local", 0)  # BaseHTTPRequestHandler wants an address it can print


class _QuietHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


class _Socket:
    """Answers on a unix socket until closed."""

    def __init__(self, path: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = _UnixServer(str(path), handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()


class Daemon(_Socket):
    """A peer's `dht.sock` that tells its status and signs bindings, as the real daemon does."""

    def __init__(self, path: Path, key: PeerKey) -> None:
        self.key = key
        path.parent.mkdir(parents=True, exist_ok=True)
        daemon = self

        class Handler(_QuietHandler):
            def do_GET(self) -> None:
                status = DhtStatus(version="0", instance="t", state="ready", state_since=0.0, peer_id=key.peer_id)
                _answer(self, status.model_dump())

            def do_POST(self) -> None:
                wish = json.loads(self.rfile.read(int(self.headers["content-length"])))
                signature = sign_binding(daemon.key, wish["account"], wish["chain_id"], wish["contract"])
                body = {"public_key": daemon.key.public, "signature": signature}
                text = {name: base64.b64encode(value).decode() for name, value in body.items()}
                _answer(self, {"peer_id": key.peer_id, **text})

        super().__init__(path, Handler)


class Worker(_Socket):
    """A worker's `node.sock` that tells one status."""

    def __init__(self, path: Path, status: NodeStatus) -> None:
        class Handler(_QuietHandler):
            def do_GET(self) -> None:
                _answer(self, status.model_dump())

        super().__init__(path, Handler)


class FaultyRpc:
    """An RPC in front of `url` that drops requests, loses answers to sends, answers 503, or is down."""

    def __init__(self, url: str, seed: int = 1) -> None:
        self.drop = 0.0
        self.lose_send_reply = 0.0
        self.unavailable = 0.0
        self.down = False
        self.busy = 0  # a status such as 503 or 429 that every request is answered with
        self.requests = 0
        self.dropped = 0
        self.replies_lost = 0
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        proxy = self
        # verify=False: there is no TLS here, and loading certificates takes longer than the requests
        self._http = httpx.Client(timeout=5.0, trust_env=False, verify=False)  # noqa: S501

        class Handler(_QuietHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                proxy.requests += 1
                if proxy.down or proxy._chance(proxy.drop):
                    proxy.dropped += 1
                    self.close_connection = True
                    return
                if proxy.busy or proxy._chance(proxy.unavailable):
                    _answer(self, {"error": "busy"}, proxy.busy or 503)
                    return
                try:
                    answer = proxy._http.post(url, content=body, headers={"content-type": "application/json"})
                except httpx.TransportError:  # the chain behind is gone
                    self.close_connection = True
                    return
                if b"eth_sendRawTransaction" in body and proxy._chance(proxy.lose_send_reply):
                    proxy.replies_lost += 1
                    self.close_connection = True
                    return
                _answer(self, answer.json())

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A service that was killed resets its connections: expected."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()

    def _chance(self, probability: float) -> bool:
        with self._lock:
            return self._random.random() < probability

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._http.close()


def _answer(handler: BaseHTTPRequestHandler, body: Any, status: int = 200) -> None:
    data = json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("content-type", "application/json")
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


@dataclass
class Login:
    """One installation of the service below `directory`; `start` and `kill` as often as wanted."""

    directory: Path
    chain: LocalChain
    mode: str = "page"
    rpc_url: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    http_port: int = field(default_factory=free_port)
    api_port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        for name in ("keys", "state", "token", "run", "login-run"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        self.log_file = self.directory / "log"

    @property
    def origin(self) -> str:
        """Where browsers find the page."""
        return f"http://localhost:{self.http_port}"

    @property
    def log(self) -> str:
        """All that was logged, over all starts."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def command(self, *arguments: str) -> str:
        """Run `login-proxy ARGUMENTS` beside the service, as `docker compose exec` does; what it printed."""
        command = [sys.executable, "-m", "login_proxy.main", *arguments]
        ran = subprocess.run(command, env=self.settings(), check=True, capture_output=True, text=True, timeout=60)
        return ran.stdout

    def settings(self) -> dict[str, str]:
        """The environment of the service."""
        settings = {
            "LOGIN": self.mode, "HTTP_PORT": self.http_port, "API_PORT": self.api_port,
            "KEYS_DIR": self.directory / "keys", "PEER_KEYS_DIR": self.directory / "peer-keys",
            "STATE_DIR": self.directory / "state",
            "API_TOKEN_FILE": self.directory / "token/token", "RUN_DIR": self.directory / "run",
            "LOGIN_RUN_DIR": self.directory / "login-run", "RPC_URL": self.rpc_url or self.chain.rpc_url,
            "DEPLOYMENT_FILE": self.chain.deployment_file,
        }  # fmt: skip
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
        environment |= {f"SWARM_{name}": str(value) for name, value in settings.items()}
        environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / source) for source in _SOURCES)
        return environment | self.environment

    def start(self, *, wait: bool = True) -> Login:
        """Start the process; returns when its status socket answers."""
        environment = self.settings()
        with self.log_file.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "login_proxy.main"], env=environment, stdout=log, stderr=log, text=True
            )
        if wait:
            wait_until(self._answers, 30)
        return self

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the login service ended:\n{self.log[-3000:]}")
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(self.directory / "login-run/login.sock")) != 0:
                return False
        return self.status().version != ""

    def status(self) -> LoginStatus:
        """What login.sock says."""
        transport = httpx.HTTPTransport(uds=str(self.directory / "login-run/login.sock"), verify=False)
        with httpx.Client(transport=transport, base_url="http://login", timeout=5.0) as client:
            return LoginStatus.model_validate(client.get("/v1/status").json())

    def api(self) -> httpx.Client:
        """A client of the worker API, with the token."""
        token = (self.directory / "token/token").read_text().strip()
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.api_port}/api/",
            headers={"authorization": f"Bearer {token}"},
            timeout=25.0,
            verify=False,  # noqa: S501 - no TLS here
        )

    def browser(self) -> httpx.Client:
        """A browser: keeps cookies, sends the page's origin with forms."""
        return httpx.Client(base_url=self.origin, headers={"origin": self.origin}, timeout=10.0, verify=False)  # noqa: S501

    def setup_token(self) -> str:
        """The newest setup token in the log."""
        return wait_until(lambda: re.findall(r"setup_token=(\S+)", self.log), 10)[-1]

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        code = self.process.wait(timeout=20)
        self.process = None
        return code

    def wait_exit(self, seconds: float = 30.0) -> int:
        """The exit code of a process that ends by itself."""
        if self.process is None:
            raise AssertionError("not started")
        code = self.process.wait(timeout=seconds)
        self.process = None
        return code
