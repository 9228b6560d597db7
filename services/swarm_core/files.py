"""Files that survive a crash: written to a temporary name, synced, renamed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swarm_core.errors import SwarmError


def sync_directory(directory: Path) -> None:
    """Make renames inside `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes, mode: int = 0o640, *, gid: int | None = None, overwrite: bool = True) -> None:
    """Write `data` so that `path` is either as before or complete, also after power loss.

    With `overwrite=False` an existing file is never touched and FileExistsError is raised.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            if gid is not None:
                os.fchown(file.fileno(), -1, gid)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            os.replace(name, path)
        else:
            os.link(name, path)  # fails when path exists: no window in which it could be replaced
            os.unlink(name)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    sync_directory(path.parent)


def write_json(path: Path, value: Any, mode: int = 0o640) -> None:
    """`write_atomic` of indented JSON."""
    write_atomic(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode(), mode)


def read_json(path: Path, max_bytes: int = 16 * 1024 * 1024) -> Any:
    """The JSON value in `path`, or None if there is no such file. Raises ValueError if it is not JSON."""
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError:
        return None
    if len(data) > max_bytes:
        raise ValueError(f"{path} is larger than {max_bytes} bytes")
    return json.loads(data)


class LockHeld(SwarmError):
    """Another live process holds the lock."""


@contextlib.contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock on `path` (made if missing); the kernel frees it when the process dies. Raises LockHeld."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LockHeld(f"{path} is locked by another process") from error
        yield
    finally:
        os.close(descriptor)
