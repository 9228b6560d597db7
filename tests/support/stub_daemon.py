"""A stand-in for the DHT daemon: the calls of ARCHITECTURE.md 4.1 on a real unix socket, served by a thread."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgpack
import uvicorn
from fastapi import FastAPI, Request, Response

PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


class StubDaemon:
    """Keeps what the worker sends; answers `batches`: (peer id, age in seconds, bytes of a GroupBatch)."""

    def __init__(self, path: Path, state: str = "ready", peers: int = 1) -> None:
        self.path = path
        self.state = state
        self.peers = peers
        self.fails_with = 0
        self.raw_answer: bytes | None = None
        self.batches: list[tuple[str, float, bytes]] = []
        self.rejected: dict[str, int] = {}
        self.published: list[bytes] = []
        self.asked: list[dict[str, float]] = []
        self.bootnodes: list[str] = []
        self.verdicts: list[dict[str, object]] = []
        self.known_peers: list[str] = []
        self.owners: dict[str, str | None] = {}
        self.genrl: dict[int, bytes] = {}
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> StubDaemon:
        listener = socket.socket(socket.AF_UNIX)
        with suppress(FileNotFoundError):
            self.path.unlink()
        listener.bind(str(self.path))
        listener.listen()
        self._server = uvicorn.Server(uvicorn.Config(self._app(), log_config=None, lifespan="off"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)  # between two polls with a deadline
        return self

    def __exit__(self, *error: object) -> None:
        assert self._server is not None
        assert self._thread is not None
        self._server.should_exit = True
        self._thread.join(timeout=20)

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.middleware("http")
        async def fail(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
            return Response(status_code=self.fails_with) if self.fails_with else await call_next(request)

        @app.get("/v1/status")
        async def status() -> dict[str, object]:
            known = {"peer_id": PEER, "state": self.state, "peers": self.peers}
            return {"version": "0", "instance": "stub", "state_since": 0.0, **known}

        @app.put("/v1/groups")
        async def publish(request: Request) -> dict[str, object]:
            self.published.append(await request.body())
            return {"serving": True, "instance": "stub", "generation": len(self.published)}

        @app.post("/v1/collect")
        async def collect(request: Request) -> Response:
            self.asked.append(await request.json())
            counts = {"asked": 1, "answered": 1, "none": 0, "failed": 0, "rejected": self.rejected}
            entries = msgpack.packb([[*entry, "direct"] for entry in self.batches])
            content = entries if self.raw_answer is None else self.raw_answer
            return Response(content, headers={"x-swarm-collect": json.dumps(counts)})

        @app.put("/v1/bootnodes")
        async def bootnodes(request: Request) -> Response:
            self.bootnodes = (await request.json())["addresses"]
            return Response(status_code=204)

        @app.post("/v1/verdicts")
        async def verdicts(request: Request) -> Response:
            self.verdicts += (await request.json())["verdicts"]
            return Response(status_code=204)

        @app.get("/v1/peers")
        async def peers() -> list[dict[str, str]]:
            return [{"peer": peer} for peer in self.known_peers]

        @app.put("/v1/owners")
        async def owners(request: Request) -> Response:
            self.owners.update((await request.json())["owners"])
            return Response(status_code=204)

        @app.put("/v1/genrl/{number}")
        async def genrl(request: Request, number: int) -> dict[str, int]:
            self.genrl[number] = await request.body()
            return {"replicas": 1}

        return app
