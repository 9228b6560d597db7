"""Servers on unix sockets and TCP with a real uvicorn: permissions, stale and live sockets, taken ports, the end."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from swarm_core import uds
from swarm_core.client import ServiceClient, UnixClient
from swarm_core.errors import FatalError
from swarm_core.runner import Service


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def sample_app() -> FastAPI:
    app = FastAPI()

    @app.get("/v1/live")
    async def live() -> dict[str, str]:
        return {"state": "ready"}

    return app


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    """A running service; the test stops it or the fixture does."""
    service = Service("sample")

    async def nothing() -> None:
        return

    life = asyncio.create_task(service.run(nothing()))
    yield service
    service.stop.set()
    async with asyncio.timeout(15):
        assert await life == 0


async def test_serve_on_a_unix_socket(service: Service, tmp_path: Path) -> None:
    path = tmp_path / "run" / "sample.sock"
    uds.serve_unix(service, sample_app(), path)
    assert (mode(path.parent), mode(path)) == (0o750, 0o660)
    client = UnixClient(path)
    assert await client.get_json("/v1/live", deadline=10.0) == {"state": "ready"}
    await client.close()


async def test_serve_on_tcp(service: Service) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    uds.serve_tcp(service, sample_app(), "127.0.0.1", port, "SWARM_HTTP_PORT")
    client = ServiceClient(f"http://127.0.0.1:{port}")
    answer = await client.request("GET", "/v1/live", deadline=10.0)
    assert "server" not in answer.headers
    await client.close()
    with pytest.raises(FatalError, match=f"Cannot listen on 127.0.0.1:{port}") as caught:
        uds.bind_tcp("127.0.0.1", port, "SWARM_HTTP_PORT")
    assert "SWARM_HTTP_PORT" in caught.value.remedy


def test_answers_are_not_held_back_for_a_delayed_acknowledgement() -> None:
    listener = uds.bind_tcp("127.0.0.1", 0, "SWARM_HTTP_PORT")
    with listener, socket.create_connection(listener.getsockname(), timeout=5):
        listener.setblocking(True)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_the_socket_is_never_open_to_others_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with uds.bind_unix(tmp_path / "a.sock"):
            assert mode(tmp_path / "a.sock") == 0o660
        assert os.umask(0) == 0  # restored
    finally:
        os.umask(before)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    uds.bind_unix(path).close()  # as a killed process leaves it
    assert path.exists()
    with uds.bind_unix(path):
        assert uds._answers(path)


def test_a_live_socket_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with uds.bind_unix(path):
        with pytest.raises(FatalError, match="Another process already serves"):
            uds.bind_unix(path)
        assert uds._answers(path)


def test_a_path_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FatalError, match="cannot be made") as caught:
        uds.bind_unix(tmp_path / "file" / "a.sock")
    assert caught.value.remedy


def test_a_path_too_long_for_a_socket(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="cannot be made"):
        uds.bind_unix(tmp_path / ("x" * 200) / "a.sock")


async def test_wait_listening(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    assert await uds.wait_listening(path, 0.1) is False
    uds.bind_unix(path).close()
    assert await uds.wait_listening(path, 0.1) is False  # a file alone is nobody
    with uds.bind_unix(path):
        assert await uds.wait_listening(path, 5.0) is True


async def test_a_server_that_dies_ends_the_process(tmp_path: Path) -> None:
    service = Service("sample")
    listener = uds.bind_unix(tmp_path / "a.sock")

    async def setup() -> None:
        async def broken(scope: object, receive: object, send: object) -> None:
            raise AssertionError

        uds.serve(service, broken, listener, "http")
        listener.close()  # the loop cannot accept on it

    async with asyncio.timeout(20):
        assert await service.run(setup()) == 1
