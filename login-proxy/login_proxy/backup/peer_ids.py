"""The id of a peer key on disk, remembered until its file changes: pages and status ask for it again and again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from swarm_core.identity import parse_key


class PeerIdMemo:
    """Of one key file."""

    def __init__(self) -> None:
        self._seen: tuple[tuple[int, int], str | None] | None = None

    def of(self, path: Path, read: Callable[[], bytes | None]) -> str | None:
        """Id of the key that `read` gets from `path`, None when it gets none. Raises OSError, KeyFormatError."""
        found = path.stat()
        mark = (found.st_mtime_ns, found.st_ino)
        if self._seen is None or self._seen[0] != mark:
            data = read()
            self._seen = (mark, parse_key(data).peer_id if data is not None else None)
        return self._seen[1]
