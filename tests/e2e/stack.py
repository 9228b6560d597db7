"""One Compose project under test: starts it, reads its sockets from inside, kills its processes, measures it.

Works with the Compose command line (what an operator types) and the docker SDK (what happened). Every project has its
own name, volumes and free ports, runs from a copy of the tracked files without `.env`, and is removed by its label.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container
from tests.support.ports import free_port

TAG = "e2e"
LIGHT_IMAGE = f"rl-swarm/light:{TAG}"
SOCKETS = {
    "node": ("node", "/run/swarm/node.sock"),
    "dht": ("dht", "/run/swarm/dht.sock"),
    "login-proxy": ("login-proxy", "/run/login/login.sock"),
    "bootnode": ("bootnode", "/run/swarm/dht.sock"),
    "round-keeper": ("round-keeper", "/run/keeper/keeper.sock"),
    "peer": ("peer", "/tmp/peer/node.sock"),
    "peer-dht": ("peer", "/tmp/peer/dht.sock"),
}
_GET = """
import socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(5)
connection.connect(sys.argv[1])
connection.sendall(f"GET {sys.argv[2]} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n".encode())
answer = b""
while part := connection.recv(65536):
    answer += part
head, _, body = answer.partition(b"\\r\\n\\r\\n")
assert b" 200 " in head.splitlines()[0], head
sys.stdout.buffer.write(body)
"""


class Failed(AssertionError):
    """A command of the stack failed or a condition did not come true in time."""


def wait_until(what: str, seconds: float, check: Callable[[], bool], every: float = 0.5) -> float:
    """Poll `check` until it is true and return how long that took; Failed after `seconds`."""
    started = time.monotonic()
    while True:
        try:
            if check():
                return time.monotonic() - started
            reason = ""
        except (Failed, KeyError, IndexError, docker.errors.APIError, docker.errors.NotFound) as error:
            reason = f" ({str(error)[:800]})"
        if time.monotonic() - started > seconds:
            raise Failed(f"not within {seconds:.0f} s: {what}{reason}")
        time.sleep(every)  # a poll with a deadline, not a wait for readiness


class Stack:
    """A Compose project. `settings` are the SWARM_* variables that the operator sets."""

    def __init__(self, clone: Path, project: str, **settings: str) -> None:
        self.clone = clone
        self.project = project
        self.docker = docker.from_env()
        self.login_port, self.metrics_port, p2p_port = free_port(), free_port(), free_port()
        self.ports = {
            "SWARM_LOGIN_PUBLISHED_PORT": str(self.login_port),
            "SWARM_EXPORTER_PUBLISHED_PORT": str(self.metrics_port),
            "SWARM_P2P_PORT": str(p2p_port),
            "SWARM_PROMETHEUS_PORT": str(free_port()),
            "SWARM_GRAFANA_PORT": str(free_port()),
        }
        self.settings = settings

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of Compose: ours, no SWARM_* of the developer's shell, the ports and settings."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("SWARM_", "COMPOSE_"))}
        return {**inherited, "SWARM_IMAGE_TAG": TAG, **self.ports, **self.settings, **more}

    def compose(self, *arguments: str, seconds: float = 300, check: bool = True, **more: str) -> str:
        """Run `docker compose ...`; its output, or Failed with it."""
        code, output = self.try_compose(*arguments, seconds=seconds, **more)
        if check and code != 0:
            raise Failed(f"docker compose {' '.join(arguments)} ended with {code}:\n{output[-4000:]}")
        return output

    def try_compose(self, *arguments: str, seconds: float = 300, **more: str) -> tuple[int, str]:
        """Run `docker compose ...`; exit code and output, whatever they are."""
        command = [
            "docker",
            "compose",
            "--project-name",
            self.project,
            "--ansi",
            "never",
            "--progress",
            "plain",
            *arguments,
        ]
        ended = subprocess.run(
            command, cwd=self.clone, env=self.environment(**more), text=True, timeout=seconds, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return ended.returncode, ended.stdout

    def up(self, *services: str, seconds: float = 240, **more: str) -> str:
        """`docker compose up -d --wait`, as the README says."""
        return self.compose("up", "--detach", "--wait", *services, seconds=seconds, **more)

    def down(self) -> None:
        """Remove containers, networks and volumes of this project."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "3", check=False)

    def container(self, service: str) -> Container:
        """The one container of `service`."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        found = self.docker.containers.list(all=True, filters={"label": [*labels, "com.docker.compose.oneoff=False"]})
        if len(found) != 1:
            raise Failed(f"{len(found)} containers of {service}")
        return found[0]

    def services(self) -> list[str]:
        """Services that have a running container."""
        found = self.docker.containers.list(filters={"label": f"com.docker.compose.project={self.project}"})
        return sorted(container.labels["com.docker.compose.service"] for container in found)

    def run_in(self, service: str, code: str, *arguments: str) -> str:
        """Run stdlib Python `code` in the container of `service`; what it printed."""
        ended = self.container(service).exec_run(["python3", "-I", "-S", "-c", code, *arguments], demux=True)
        out, err = ended.output
        if ended.exit_code != 0:
            raise Failed(f"in {service}: {(err or b'').decode()[-500:]}")
        return (out or b"").decode()

    def get(self, what: str, path: str = "/v1/status") -> Any:
        """JSON that the socket of `what` (a key of SOCKETS) answers."""
        service, address = SOCKETS[what]
        return json.loads(self.run_in(service, _GET, address, path))

    def history(self, what: str) -> list[dict[str, Any]]:
        """Round records of the worker behind `what`, oldest first."""
        found = self.get(what, "/v1/history?limit=500")
        assert isinstance(found, list)
        return found

    def rss(self, service: str) -> int:
        """Resident bytes of all processes of the container, as the host's ps counts them."""
        top = self.container(service).top(ps_args="-eo pid,rss")
        return sum(int(row[1]) * 1024 for row in top["Processes"])

    def logs(self, service: str) -> str:
        """Everything the container of `service` has logged."""
        return str(self.container(service).logs().decode(errors="replace"))

    def restarts(self) -> dict[str, int]:
        """service → how often Docker restarted it."""
        names = [name for name in self.services() if name != "deployer"]
        return {name: int(self.container(name).attrs["RestartCount"]) for name in names}

    def kill_main(self, service: str) -> None:
        """kill -9 of the container's main process, from the host's side: Docker sees a crash, not an order."""
        self.kill(int(self.container(service).attrs["State"]["Pid"]))

    def kill(self, pid: int) -> float:
        """SIGKILL to a process of the host; the moment at which it was sent."""
        code = f"import os, time; print(time.time()); os.kill({pid}, 9)"
        printed = self.docker.containers.run(
            LIGHT_IMAGE, ["python3", "-c", code], pid_mode="host", user="0:0",
            entrypoint=[], remove=True, network_mode="none", labels={"rlswarm-test": self.project},
        )  # fmt: skip
        return float(printed)

    def logged_at(self, service: str, words: str) -> list[float]:
        """When the container logged lines with `words`, as the engine's clock saw them."""
        lines = self.container(service).logs(timestamps=True).decode(errors="replace").splitlines()
        stamps = [line.split(" ", 1)[0] for line in lines if words in line]
        return [datetime.fromisoformat(stamp[:26] + "+00:00").timestamp() for stamp in stamps]

    def host_pid(self, service: str, command: str) -> int:
        """Host pid of the one process of the container whose command line contains `command`."""
        top = self.container(service).top(ps_args="-eo pid,args")
        found = [int(row[0]) for row in top["Processes"] if command in row[1]]
        if len(found) != 1:
            raise Failed(f"{len(found)} processes {command} in {service}")
        return found[0]

    def cpu_seconds(self) -> dict[str, float]:
        """service → CPU seconds its cgroup has used, health checks included."""
        used: dict[str, float] = {}
        for name in self.services():
            stats = self.docker.api.stats(self.container(name).id, stream=False, one_shot=True)
            used[name] = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9
        return used
