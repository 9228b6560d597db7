"""Healthcheck command, standard library only so that it costs milliseconds.

`swarm-health unix:/run/swarm/dht.sock:/v1/live` or `swarm-health http://127.0.0.1:9108/v1/live`; several targets may
be given, all must answer 2xx within 3 s each.
"""

from __future__ import annotations

import socket
import sys

_SECONDS = 3.0


def probe(target: str) -> str | None:
    """None when `target` answers 2xx, else why not."""
    address: str | tuple[str, int]
    try:
        if target.startswith("unix:"):
            _, path, url = target.split(":", 2)
            family, address = socket.AF_UNIX, path
        else:
            host, _, rest = target.removeprefix("http://").partition("/")
            name, _, port = host.partition(":")
            url, family, address = "/" + rest, socket.AF_INET, (name, int(port or 80))
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(address)
            connection.sendall(f"GET {url} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            status = connection.recv(64).split(b" ")
    except (OSError, ValueError) as error:
        return f"{target}: {error}"
    if len(status) < 2 or not status[1].startswith(b"2"):
        return f"{target}: {b' '.join(status[:2])!r}"
    return None


def main() -> None:
    """Exit 0 when every target is healthy."""
    problems = [problem for target in sys.argv[1:] if (problem := probe(target))]
    if problems or len(sys.argv) < 2:
        sys.exit("; ".join(problems) or "usage: swarm-health TARGET...")


if __name__ == "__main__":
    main()
