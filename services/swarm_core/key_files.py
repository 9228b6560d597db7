"""The files of peer keys, which two programs share: the daemon owns them, the login service backs them up and restores.

One directory holds one peer's key. Extra local peers have a directory each, numbered by their slots.
"""

from __future__ import annotations

from pathlib import Path

KEY_NAME = "swarm.pem"
INCOMING_NAME = "incoming.pem"  # a restored key, which the daemon takes when it starts or sees it
MAX_SLOTS = 64  # extra local peers of a host
_MAX_BYTES = 64 * 1024


def read_key(path: Path) -> bytes | None:
    """The bytes in `path`, None when there is no such file; what is longer than any key is cut. Raises OSError."""
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
