"""What an exporter needs around it, for real: status sockets, an empty chain, the exporter's process, Prometheus."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
import yaml
from fastapi import FastAPI
from pydantic import BaseModel
from tests.support.ports import free_port

from swarm_core.resident import resident_bytes
from swarm_core.uds import bind_unix

ROOT = Path(__file__).resolve().parents[2]
PROMETHEUS_IMAGE = "prom/prometheus:v2.53.5"
ANVIL_IMAGE = "ghcr.io/foundry-rs/foundry:v1.7.1"
CHAIN_ID = 53855
T = TypeVar("T")


def until(check: Callable[[], T | None], seconds: float, what: str) -> T:
    """Poll `check` until it gives something true. Transport errors count as not yet."""
    end = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < end:
        try:
            if found := check():
                return found
        except (httpx.TransportError, OSError, ValueError) as error:
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what} did not happen within {seconds:g} s (last: {last})")


def status_app(documents: Mapping[str, BaseModel | list[Any]]) -> FastAPI:
    """Serves `documents` by path; a path that is missing is a 404."""
    app = FastAPI(openapi_url=None)
    for path in documents:

        @app.get(path)
        async def document(path: str = path) -> Any:
            return documents[path]

    return app


@contextlib.contextmanager
def serving(path: Path, app: FastAPI) -> Iterator[None]:
    """Serve `app` on the unix socket `path` from a thread; afterwards nobody answers there."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    listener = bind_unix(path)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@contextlib.contextmanager
def container(image: str, *arguments: str, options: tuple[str, ...] = ()) -> Iterator[str]:
    """A labelled container that is gone afterwards; yields its id."""
    command = ["docker", "run", "-d", "--rm", "--label", "rlswarm-test=exporter", *options, image, *arguments]
    identity = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    try:
        yield identity
    finally:
        subprocess.run(["docker", "rm", "-f", identity], check=False, capture_output=True, timeout=60)


@contextlib.contextmanager
def anvil() -> Iterator[str]:
    """An empty chain whose gas is free; yields its RPC address."""
    port = free_port()
    flags = ("--host", "127.0.0.1", "--port", str(port), "--chain-id", str(CHAIN_ID), "--gas-price", "0")
    options = ("--network", "host", "--entrypoint", "anvil")
    with container(ANVIL_IMAGE, *flags, "--block-base-fee-per-gas", "0", "--silent", options=options):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def prometheus(directory: Path, target: str) -> Iterator[str]:
    """A Prometheus with our configuration, but `target` and a scrape every second; yields its address."""
    config = yaml.safe_load((ROOT / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    file.chmod(0o644)
    port = free_port()
    flags = (
        "--config.file=/etc/prometheus/prometheus.yml",
        "--storage.tsdb.path=/prometheus",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    options = ("--network", "host", "-v", f"{file}:/etc/prometheus/prometheus.yml:ro")
    with container(PROMETHEUS_IMAGE, *flags, options=options):
        address = f"http://127.0.0.1:{port}"
        until(lambda: httpx.get(f"{address}/-/ready", trust_env=False).status_code == 200, 60, "Prometheus ready")
        yield address


class Exporter:
    """The exporter's process."""

    def __init__(self, directory: Path, environment: Mapping[str, str], port: int | None = None) -> None:
        self.port = port or free_port()
        self.log = directory / "exporter.log"
        settings = {
            "SWARM_EXPORTER_HOST": "127.0.0.1",
            "SWARM_EXPORTER_PORT": str(self.port),
            "SWARM_EXPORTER_CACHE_SECONDS": "0",
            "SWARM_EXPORTER_CHAIN_SECONDS": "2",
            "SWARM_LOG_FORMAT": "json",
            **environment,
        }
        roots = os.pathsep.join(str(ROOT / name) for name in ("services", "monitoring"))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "swarm_exporter.main"],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": roots, **settings},
                stderr=log,
            )

    def metrics(self) -> str:
        """One scrape."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=10, trust_env=False)
        answer.raise_for_status()
        return answer.text

    def lines(self) -> list[dict[str, Any]]:
        """Its log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def cpu_seconds(self) -> float:
        """CPU time used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self) -> int:
        """Resident memory now."""
        return resident_bytes(self.process.pid)

    def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        self.process.terminate()
        return self.process.wait(15)


@contextlib.contextmanager
def exporter(directory: Path, environment: Mapping[str, str]) -> Iterator[Exporter]:
    """A running exporter that answers."""
    started = Exporter(directory, environment)
    live = f"http://127.0.0.1:{started.port}/v1/live"
    try:
        until(lambda: httpx.get(live, trust_env=False).status_code == 200, 30, "exporter live")
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()
