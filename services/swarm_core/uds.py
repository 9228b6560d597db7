"""HTTP servers of a process: on a unix socket (directory 0750, socket 0660) or on TCP, supervised by its Service.

uvicorn would create the socket 0666, so we bind it ourselves and hand it over.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn

from swarm_core.errors import FatalError
from swarm_core.runner import Service

_RECURSION_LIMIT = 1000
_BACKLOG = 128


def bind_unix(path: Path) -> socket.socket:
    """A listening socket at `path`. A stale file is replaced; a live server there is a FatalError."""
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if path.exists() and _answers(path):
            raise FatalError(
                f"Another process already serves {path}.", "stop it; two services must not share a run directory"
            )
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        previous = os.umask(0o117)
        try:
            server.bind(str(path))
        except OSError:
            server.close()
            raise
        finally:
            os.umask(previous)
    except OSError as error:
        raise FatalError(
            f"The socket {path} cannot be made ({error.strerror or error}).", "check the run volume and its owner"
        ) from error
    server.listen(_BACKLOG)
    server.setblocking(False)
    return server


def bind_tcp(host: str, port: int, variable: str) -> socket.socket:
    """A listening TCP socket; FatalError naming `variable` when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted connections inherit it. asyncio sets it for sockets with a protocol number only, and without it each
    # answer waits 40 ms: its body is held back until the client's delayed acknowledgement of the head.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        server.bind((host, port))
    except OSError as error:
        server.close()
        raise FatalError(
            f"Cannot listen on {host}:{port} ({error.strerror}).", f"stop what uses it or set {variable}"
        ) from error
    server.listen(_BACKLOG)
    server.setblocking(False)
    return server


def serve(service: Service, app: Any, listener: socket.socket, name: str, **options: Any) -> None:
    """Serve the ASGI `app` on `listener` as a supervised task of `service` called `name`."""
    # py_ecc (of eth-account) sets it to 100000, at which a JSON body of nested brackets overruns the C stack
    sys.setrecursionlimit(min(sys.getrecursionlimit(), _RECURSION_LIMIT))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        **options,
    )
    server = _Server(config)

    async def close() -> None:
        server.should_exit = True

    async def body() -> None:
        try:
            await server.serve(sockets=[listener])
        finally:
            listener.close()  # uvicorn leaves sockets that it was handed open

    service.spawn(name, body())
    service.on_close(name, close)


def serve_unix(service: Service, app: Any, path: Path) -> None:
    """`serve` on a unix socket at `path`."""
    serve(service, app, bind_unix(path), f"http {path.name}")


def serve_tcp(service: Service, app: Any, host: str, port: int, variable: str, **options: Any) -> None:
    """`serve` on TCP; `variable` names the setting to change when the port is taken."""
    serve(service, app, bind_tcp(host, port, variable), f"http :{port}", **options)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the Service owns the signals."""

    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


def _answers(path: Path) -> bool:
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    probe.settimeout(1.0)
    try:
        probe.connect(str(path))
    except OSError:
        return False
    finally:
        probe.close()
    return True


async def wait_listening(path: Path, seconds: float) -> bool:
    """Poll until something accepts connections at `path`."""
    deadline = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < deadline:
        if path.exists() and _answers(path):
            return True
        await asyncio.sleep(0.05)
    return False
