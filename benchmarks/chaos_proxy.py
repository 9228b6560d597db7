"""A TCP proxy that holds every chunk back for as long as a file says. Arguments: host, port, inner port, file."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

_CHUNK = 64 * 1024


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: Path) -> None:
    """Copy until the end, late."""
    with contextlib.closing(writer), contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            await asyncio.sleep(float(delay.read_text() or 0))
            writer.write(data)
            await writer.drain()


async def main() -> None:
    """Serve until killed."""
    host, port, inner, delay = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", inner)
        except OSError:
            writer.close()
            return
        await asyncio.gather(pump(reader, inner_writer, delay), pump(inner_reader, writer, delay))

    server = await asyncio.start_server(serve, host, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
