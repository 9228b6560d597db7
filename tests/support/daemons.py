"""Real `swarm-dht` processes on loopback, each with its own directories and ports."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgpack
from tests.support.ports import free_port

from swarm_core.records import GroupBatch, RolloutGroup

ROOT = Path(__file__).resolve().parents[2]
_PATH = os.pathsep.join(str(ROOT / part) for part in ("services", "node", "login-proxy", "monitoring"))
READY_SECONDS = 60.0
# the daemon, with a wall clock that a file moves
_WITH_CLOCK = """
import os, time
real, path = time.time, {path!r}
def moved():
    try:
        with open(path) as file:
            return real() + float(file.read() or 0)
    except OSError:
        return real()
time.time = moved
from swarm_dht.main import main
main()
"""


def poll(check: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true value of `check`, tried until `seconds` are over."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """Process ids of the children of `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += [int(word) for word in task.read_text().split()]
    return found


def alive(pid: int) -> bool:
    """Whether `pid` runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def group(seed: int, rewards: tuple[float, ...] = (0.0, 1.0), size: int = 10) -> RolloutGroup:
    """A small valid group; `size` characters in each completion."""
    completions = tuple("x" * (size - 1) + str(number % 10) for number in range(len(rewards)))
    return RolloutGroup("leg_counting", seed, "How many legs?", "4", completions, rewards)


class Daemon:
    """One daemon below `directory`; started by `start`, ended by `close`."""

    def __init__(
        self,
        directory: Path,
        bootnodes: str = "",
        port: int | None = None,
        namespace: str = "",
        host: str = "127.0.0.1",
        **environment: str,
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.host = host  # where others reach it
        self._prefix = ["ip", "netns", "exec", namespace] if namespace else []
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(directory / "run" / "dht.sock")), base_url="http://dht", timeout=30
        )
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SWARM_")},
            "PYTHONPATH": _PATH,
            "SWARM_RUN_DIR": str(directory / "run"),
            "SWARM_KEY_DIR": str(directory / "key"),
            "SWARM_P2P_HOST": "0.0.0.0" if namespace else host,
            "SWARM_P2P_PORT": str(self.port),
            "SWARM_BOOTNODES": bootnodes,
            "SWARM_LOG_LEVEL": "debug",
            **environment,
        }

    @property
    def log_text(self) -> str:
        """Everything it has logged so far."""
        return (self.directory / "log").read_text()

    @property
    def pid(self) -> int:
        """Process id of the daemon."""
        assert self.process is not None
        return self.process.pid

    @property
    def p2pd(self) -> int:
        """Process id of its p2pd."""
        (pid,) = [child for child in children(self.pid) if "p2pd" in Path(f"/proc/{child}/cmdline").read_text()]
        return pid

    @property
    def address(self) -> str:
        """Its multiaddr with the peer id."""
        return f"/ip{6 if ':' in self.host else 4}/{self.host}/tcp/{self.port}/p2p/{self.status()['peer_id']}"

    def start(self) -> Daemon:
        """Run the process; returns at once."""
        (self.directory / "key").mkdir(parents=True, exist_ok=True)
        with (self.directory / "log").open("ab") as log:
            command = [sys.executable, "-c", _WITH_CLOCK.format(path=str(self.directory / "clock"))]
            self.process = subprocess.Popen(
                [*self._prefix, *command], env=self._environment, stderr=log, cwd=self.directory
            )
        return self

    def set_clock(self, offset: float) -> None:
        """Move the wall clock of the process by `offset` seconds; a host's own clock cannot be moved in a test."""
        (self.directory / "clock").write_text(str(offset))

    def wait(self, check: Callable[[dict[str, Any]], bool], seconds: float = READY_SECONDS) -> dict[str, Any]:
        """The first status that satisfies `check`."""

        def look() -> dict[str, Any] | None:
            assert self.process is not None
            assert self.process.poll() is None, f"daemon ended:\n{self.log_text}"
            if not self._listens():  # httpx leaves a socket open after each refused connection
                return None
            status = self.status()
            return status if check(status) else None

        try:
            answer: dict[str, Any] = poll(look, seconds, "daemon's status")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_text}") from error
        return answer

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            return probe.connect_ex(str(self.directory / "run" / "dht.sock")) == 0

    def up(self) -> Daemon:
        """Wait until p2pd runs."""
        self.wait(lambda status: status["generation"] > 0)
        return self

    def status(self) -> dict[str, Any]:
        """`GET /v1/status`."""
        answer = self.http.get("/v1/status")
        answer.raise_for_status()
        status: dict[str, Any] = answer.json()
        return status

    def peers(self) -> list[dict[str, Any]]:
        """`GET /v1/peers`."""
        answer = self.http.get("/v1/peers")
        answer.raise_for_status()
        known: list[dict[str, Any]] = answer.json()
        return known

    def publish(self, number: int, *groups: RolloutGroup, age: float = 0.0) -> dict[str, Any]:
        """`PUT /v1/groups`."""
        batch = GroupBatch(number, time.time() - age, groups)
        answer = self.http.put("/v1/groups", content=batch.encode())
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told

    def collect(self, want: int = 100, deadline_ms: int = 4000, **fields: Any) -> tuple[dict[str, GroupBatch], Any]:
        """`POST /v1/collect`: batches by peer, and the counts."""
        body = {"want": want, "deadline_ms": deadline_ms, "max_peers": 32, **fields}
        answer = self.http.post("/v1/collect", json=body)
        answer.raise_for_status()
        counts = httpx.Response(200, content=answer.headers["x-swarm-collect"]).json()
        return {peer: GroupBatch.decode(data) for peer, _, data, _ in msgpack.unpackb(answer.content)}, counts

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)

    def close(self) -> None:
        """End it however it is, with its p2pd."""
        self.http.close()
        if self.process is not None and self.process.poll() is None:
            leftover = children(self.pid)
            self.kill()
            for pid in leftover:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@dataclass(frozen=True)
class Swarm:
    """A bootnode and two peers that all know one another."""

    bootnode: Daemon
    one: Daemon
    two: Daemon


class Daemons:
    """Makes daemons below one directory and closes them all."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._made: list[Daemon] = []

    def make(self, name: str, bootnodes: str = "", **environment: Any) -> Daemon:
        """A daemon that is not started yet."""
        daemon = Daemon(self._directory / name, bootnodes, **environment)
        self._made.append(daemon)
        return daemon

    def start(self, name: str, bootnodes: str = "", **environment: Any) -> Daemon:
        """A daemon that starts now."""
        return self.make(name, bootnodes, **environment).start()

    def close(self) -> None:
        """End all of them."""
        for daemon in self._made:
            daemon.close()


@contextlib.contextmanager
def daemons_below(directory: Path) -> Iterator[Daemons]:
    """`Daemons` that are closed at the end."""
    made = Daemons(directory)
    try:
        yield made
    finally:
        made.close()
