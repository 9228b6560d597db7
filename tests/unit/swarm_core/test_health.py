"""The healthcheck command: 0 only when every target answers 2xx, over unix sockets and TCP, cheap to start."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarm_core import health


@contextmanager
def answering(answer: bytes, path: Path | None = None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives `answer` to every request; yields its target prefix and the requests it read."""
    listener = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    listener.bind(str(path) if path else ("127.0.0.1", 0))
    listener.listen()
    requests: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                requests.append(connection.recv(1000))
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield (f"unix:{path}:" if path else f"http://127.0.0.1:{listener.getsockname()[1]}"), requests
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(timeout=10)


@pytest.mark.parametrize("unix", [True, False])
def test_a_2xx_is_healthy(tmp_path: Path, unix: bool) -> None:
    with answering(b"HTTP/1.1 204 No Content\r\n\r\n", tmp_path / "a.sock" if unix else None) as (target, requests):
        assert health.probe(f"{target}/v1/live") is None
    assert requests[0].startswith(b"GET /v1/live HTTP/1.0\r\n")
    assert requests[0].endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 500 Error\r\n\r\n", b"HTTP/1.1 302 Found\r\n\r\n", b"", b"garbage", b"HTTP/1.1  \r\n"]
)
def test_anything_else_is_not(answer: bytes) -> None:
    with answering(answer) as (target, _):
        problem = health.probe(f"{target}/v1/live")
    assert problem is not None
    assert problem.startswith(f"{target}/v1/live: ")


@pytest.mark.parametrize(
    "target", ["unix:/nowhere/x.sock:/v1/live", "unix:/nowhere", "http://127.0.0.1:1/x", "http://:x/"]
)
def test_nobody_there(target: str) -> None:
    assert health.probe(target) is not None


def test_a_server_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "a.sock"))
        listener.listen()
        problem = health.probe(f"unix:{tmp_path}/a.sock:/")
    assert problem is not None
    assert "timed out" in problem


def ended(monkeypatch: pytest.MonkeyPatch, *targets: str) -> object:
    monkeypatch.setattr(sys, "argv", ["swarm-health", *targets])
    try:
        health.main()
    except SystemExit as end:
        return end.code
    return 0


def test_every_target_must_be_healthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with answering(b"HTTP/1.0 200 OK\r\n\r\n") as (good, _):
        assert ended(monkeypatch, good, good) == 0
        text = ended(monkeypatch, good, f"unix:{tmp_path}/none:/", f"unix:{tmp_path}/none2:/")
    assert isinstance(text, str)  # Python exits 1 and prints it
    assert f"{tmp_path}/none:" in text
    assert f"{tmp_path}/none2:" in text
    assert "usage" in str(ended(monkeypatch))


def test_it_imports_nothing_heavy() -> None:
    # it runs every few seconds in every container
    program = (
        "import sys, swarm_core.health; print([n for n in ('asyncio', 'pydantic', 'httpx', 'ssl') if n in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-S", "-c", program], env={"PYTHONPATH": str(Path(health.__file__).parents[1])},
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert output.stdout.strip() == "[]"
