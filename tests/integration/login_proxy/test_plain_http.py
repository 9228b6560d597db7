"""The TLS port answers plain HTTP: a reader is sent to https, a form is not taken, TLS itself works as ever."""

from __future__ import annotations

import asyncio
import ssl
from functools import partial
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI, Request

from login_proxy.access import plain_http
from login_proxy.access.certificate import ensure_certificate
from swarm_core.runner import Service
from swarm_core.uds import bind_tcp, serve


def answering(asked: list[str]) -> FastAPI:
    """An app that notes what it was asked and tells scheme and address of who asked."""
    app = FastAPI()

    @app.get("/")
    async def root(request: Request) -> str:
        asked.append(request.method)
        return f"{request.url.scheme} {request.client.host if request.client else ''}"

    return app


async def say(port: int, first: bytes) -> bytes:
    """Send bytes as they are; all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with asyncio.timeout(10):
        writer.write(first)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        writer.write(b"more that nobody reads" * 1000)
        writer.close()
    return head + body


async def test_plain_http_is_told_where_to_go_and_tls_works(tmp_path: Path) -> None:
    made, listener = ensure_certificate(tmp_path / "tls", None), bind_tcp("127.0.0.1", 0, "SWARM_HTTPS_PORT")
    port, asked, service = int(listener.getsockname()[1]), list[str](), Service("test")

    async def scenario() -> None:
        tls = partial(plain_http.context, made)
        serve(service, answering(asked), listener, "https", ssl_context_factory=tls)
        host = f"127.0.0.1:{port}".encode()
        sent = await say(port, b"GET /login?a=b HTTP/1.1\r\nUser-Agent: x\r\nHost: " + host + b"\r\n\r\n")
        assert sent.startswith(b"HTTP/1.1 307 ")
        assert b"\r\nlocation: https://" + host + b"/login?a=b\r\n" in sent
        assert b"speaks TLS" in sent
        form = await say(port, b"POST /login HTTP/1.1\r\nHost: " + host + b"\r\n\r\npassword=x")
        assert form.startswith(b"HTTP/1.1 400 ")
        assert (await say(port, b"\x00nonsense")).startswith(b"HTTP/1.1 400 ")
        assert asked == [], "nothing that came in the clear reached the app"
        async with httpx.AsyncClient(verify=False) as client:  # noqa: S501 - self-signed
            told = await client.get(f"https://127.0.0.1:{port}/")
            assert told.json() == "https 127.0.0.1", "the client's address is known, for the limits"
            redirected = await client.get(f"http://127.0.0.1:{port}/", follow_redirects=True)
            assert (redirected.json(), redirected.history[0].status_code) == ("https 127.0.0.1", 307)
        service.stop.set()

    assert await service.run(scenario()) == 0


@pytest.mark.parametrize(
    "first",
    [
        b"GET / HTTP/1.1\r\nHost: evil.example/x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nlocation\r\n",
        b"GET /\r\nset-cookie: a=b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET //evil\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: us\x00er@a\r\n\r\n",
        b"G",
    ],
)
def test_only_a_clean_request_is_redirected(first: bytes) -> None:
    answered = plain_http.answer(first)
    head = answered.split(b"\r\n\r\n")[0].lower()
    if b"location: " in head:
        assert head.split(b"location: ")[1].split(b"\r\n")[0] in (b"https://a/",), head
    assert b"set-cookie" not in head


def test_a_client_that_only_connects_is_an_ordinary_handshake(tmp_path: Path) -> None:
    made = ensure_certificate(tmp_path / "tls", None)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = plain_http.context(made).wrap_bio(incoming, outgoing, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    assert outgoing.pending == 0
