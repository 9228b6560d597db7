"""Answers who speaks plain HTTP to the TLS port: a reader is sent to https, everybody else is told.

asyncio closes such a connection without a word. `TlsContext` sees the first bytes before OpenSSL does: a TLS client
begins with a handshake record (RFC 8446, section 5.1). Nothing that was sent in the clear is acted upon.
"""

from __future__ import annotations

import re
import ssl
from typing import Any

from login_proxy.access.certificate import Certificate

_HANDSHAKE = 0x16
_READER = re.compile(rb"(?:GET|HEAD) (/[!-~]{0,2000}) HTTP/1\.[01]\r\n")
_HOST = re.compile(rb"\r\nhost:[ \t]*([a-z0-9.-]{1,253}(?::\d{1,5})?|\[[0-9a-f:]{2,45}\](?::\d{1,5})?)[ \t]*\r\n", re.I)
_TOLD = b"This port speaks TLS: open it with https:// in front of the address.\n"


class _Connection(ssl.SSLObject):
    """One connection, until its first bytes have told what it is."""

    _incoming: ssl.MemoryBIO | None = None
    _outgoing: ssl.MemoryBIO
    _plain = False

    def watch(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        """What arrives, and what is to be sent."""
        self._incoming, self._outgoing = incoming, outgoing

    def do_handshake(self) -> None:
        """The handshake; with plain HTTP it never gets on, and the answer stands in `outgoing`."""
        if self._plain and self._incoming is not None:
            self._incoming.read()
            raise ssl.SSLWantReadError  # the client has its answer and hangs up, or the handshake's deadline comes
        if self._incoming is not None and self._incoming.pending:
            first = self._incoming.read()
            if first[0] != _HANDSHAKE:
                self._plain = True
                self._outgoing.write(answer(first))
                raise ssl.SSLWantReadError
            self._incoming.write(first)
            self._incoming = None
        super().do_handshake()


class TlsContext(ssl.SSLContext):
    """A server's context; its connections know plain HTTP when they see it."""

    sslobject_class = _Connection

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *more: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio does for every connection."""
        made = super().wrap_bio(incoming, outgoing, *more, **options)
        if isinstance(made, _Connection):
            made.watch(incoming, outgoing)
        return made


def context(certificate: Certificate, *_: Any) -> ssl.SSLContext:
    """A server's context with this certificate; what uvicorn hands over besides is not needed."""
    made = TlsContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate.chain, certificate.key)
    return made


def answer(first: bytes) -> bytes:
    """The HTTP answer to the first bytes of a client that speaks no TLS."""
    reader, host = _READER.match(first), _HOST.search(first)
    if reader is None or host is None:
        return _response(b"400 Bad Request")
    location = b"location: https://" + host[1] + reader[1] + b"\r\n"
    return _response(b"307 Temporary Redirect", location)


def _response(status: bytes, header: bytes = b"") -> bytes:
    length = b"content-length: %d\r\n" % len(_TOLD)
    return b"HTTP/1.1 " + status + b"\r\n" + header + length + (
        b"content-type: text/plain\r\ncache-control: no-store\r\nconnection: close\r\n\r\n" + _TOLD
    )  # fmt: skip
