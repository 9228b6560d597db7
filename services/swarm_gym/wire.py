"""What pool and workers say to each other: JSON documents behind their length (4 bytes, big-endian), bounded."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
_LENGTH = 4


class WorkerGone(Exception):
    """The other end closed the connection or sent no message."""


def pack(document: Any) -> bytes:
    """A document as bytes on the wire."""
    body = json.dumps(document).encode()
    return len(body).to_bytes(_LENGTH, "big") + body


def receive(connection: socket.socket) -> Any:
    """The next document, for the blocking side. Raises WorkerGone at the end of the stream."""
    length = int.from_bytes(_exactly(connection, _LENGTH), "big")
    if length > MAX_MESSAGE_BYTES:
        raise WorkerGone(f"a message of {length} bytes")
    return json.loads(_exactly(connection, length))


async def read(reader: asyncio.StreamReader) -> Any:
    """The next document, for the asynchronous side. Raises WorkerGone for everything that is none."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        if length > MAX_MESSAGE_BYTES:
            raise WorkerGone(f"a message of {length} bytes")
        return json.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, OSError, ValueError, RecursionError) as error:
        raise WorkerGone(type(error).__name__) from error


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        chunk = connection.recv(count - len(data))
        if not chunk:
            raise WorkerGone("end of stream")
        data += chunk
    return bytes(data)
