"""Reading a document over a real unix socket: good answers, refusals, garbage and silence, each within the bound."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from tests.support.statuses import dht_status

from swarm_core.status import DhtStatus
from swarm_exporter.source import Sockets

STATUS = TypeAdapter(DhtStatus)
Serve = Callable[[str, str], Awaitable[Path]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Serve one answer (status line, body) for every request; an empty status line means silence."""
    servers: list[asyncio.Server] = []

    async def start(line: str, body: str) -> Path:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            if line:
                head = f"HTTP/1.1 {line}\r\ncontent-length: {len(body.encode())}\r\nconnection: close\r\n\r\n"
                writer.write((head + body).encode())
                await writer.drain()
            else:
                await reader.read()
            writer.close()

        path = tmp_path / "dht.sock"
        servers.append(await asyncio.start_unix_server(handle, path))
        return path

    yield start
    for server in servers:
        server.close()


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    pool = Sockets(seconds=0.3)
    yield pool
    await pool.close()


async def test_a_good_document(serve: Serve, sockets: Sockets) -> None:
    path = await serve("200 OK", dht_status(peers=9).model_dump_json())
    status = await sockets.read(path, "/v1/status", STATUS)
    assert status is not None
    assert status.peers == 9


@pytest.mark.parametrize(
    ("line", "body"),
    [
        ("404 Not Found", "{}"),
        ("503 Busy", "{}"),
        ("200 OK", "not json"),
        ("200 OK", json.dumps({"state": "unheard of"})),
        ("200 OK", "[]"),
        ("", ""),
    ],
)
async def test_no_usable_answer_is_none_in_time(serve: Serve, sockets: Sockets, line: str, body: str) -> None:
    path = await serve(line, body)
    start = time.monotonic()
    assert await sockets.read(path, "/v1/status", STATUS) is None
    assert time.monotonic() - start < 1.5


async def test_no_socket_and_a_stale_socket(sockets: Sockets, tmp_path: Path) -> None:
    assert await sockets.read(tmp_path / "absent.sock", "/v1/status", STATUS) is None
    stale = tmp_path / "stale.sock"
    server = await asyncio.start_unix_server(lambda _reader, _writer: None, stale)
    server.close()
    await server.wait_closed()
    assert await sockets.read(stale, "/v1/status", STATUS) is None


async def test_loss_and_return_are_logged_once_each(
    serve: Serve, sockets: Sockets, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for _ in range(3):
        await sockets.read(tmp_path / "dht.sock", "/v1/status", STATUS)
    path = await serve("200 OK", dht_status().model_dump_json())
    for _ in range(3):
        assert await sockets.read(path, "/v1/status", STATUS) is not None
    events = [record.getMessage() for record in caplog.records if record.name == "swarm.source"]
    assert events == ["source does not answer", "source is back"]
