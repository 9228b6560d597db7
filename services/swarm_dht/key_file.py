"""The peer key on disk: made once, verified at every start, never lost; one daemon per key directory.

Works with swarm_core.identity for the format. The login service reads the same file (group `keys`) for backups. A
restore puts `incoming.pem` beside it; the daemon verifies that, keeps the key it had, and takes the new one's place.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from swarm_core.errors import FatalError
from swarm_core.files import LockHeld, exclusive_lock, write_atomic
from swarm_core.identity import KeyFormatError, PeerKey, generate_key, parse_key
from swarm_core.key_files import INCOMING_NAME, KEY_NAME, read_key
from swarm_core.log import get_logger
from swarm_core.runner import Service

REFUSED_NAME = "incoming.refused"
_LOOK_SECONDS = 1.0
_LOCK_NAME = ".lock"
_MODE = 0o440
log = get_logger("key")


def lock_key(directory: Path) -> contextlib.ExitStack:
    """Hold the key directory for this process; closing the answer frees it, as does the end of the process.

    Raises FatalError when another daemon holds it: two daemons with one identity would split its traffic.
    """
    held = contextlib.ExitStack()
    try:
        held.enter_context(exclusive_lock(directory / _LOCK_NAME))
    except LockHeld:
        raise FatalError(
            f"Another DHT daemon already uses the key in {directory}.", "stop it, or change SWARM_KEY_DIR"
        ) from None
    except OSError as error:
        raise FatalError(
            f"Cannot lock {directory} ({error.strerror}).", "check the keys volume and its owner"
        ) from error
    return held


def load_or_create(directory: Path) -> PeerKey:
    """The key in `directory`, made if there is none. Raises FatalError, with the file untouched, if it is not a key."""
    path = directory / KEY_NAME
    try:
        data = read_key(path)
        if data is None:
            _create(path)
            data = read_key(path)
    except OSError as error:
        raise FatalError(
            f"The peer key {path} cannot be read or made ({error.strerror}).", "check the keys volume and its owner"
        ) from error
    try:
        return parse_key(data or b"")
    except KeyFormatError as error:
        raise FatalError(
            f"The peer key {path} is unusable: {error}; it was not changed.",
            "restore it from a backup, or move it away to start as a new peer",
        ) from error


def take_incoming(directory: Path) -> str | None:
    """Put a restored key into the place of the present one; the peer id it has, None if there is none to take.

    The present key is kept as `replaced-<peer id>.pem`. A file that is no key is set aside and nothing else changes.
    A crash at any point leaves the old or the new key in place, and the next start goes on. Raises FatalError.
    """
    incoming, path = directory / INCOMING_NAME, directory / KEY_NAME
    try:
        data = read_key(incoming)
        if data is None:
            return None
        try:
            key = parse_key(data)
        except KeyFormatError as error:
            incoming.replace(directory / REFUSED_NAME)
            log.error("the restored key is unusable, the present one stays", reason=str(error))
            return None
        present = read_key(path)
        if present is not None and present != data:
            _keep(path, present)
        if present != data:
            write_atomic(path, data, _MODE, gid=_key_group(directory))
        incoming.unlink()
    except OSError as error:
        raise FatalError(
            f"The restored key {incoming} cannot be taken ({error.strerror}).", "check the keys volume and its owner"
        ) from error
    log.info("restored key taken", peer=key.peer_id)
    return key.peer_id


async def watch_incoming(service: Service, directory: Path) -> None:
    """Ends the process when a restored key waits: the next start takes it. Raises FatalError then."""
    while not await service.sleep(_LOOK_SECONDS):
        if (directory / INCOMING_NAME).exists():
            raise FatalError("A restored peer key waits.", "none needed: the daemon starts again with it")


def socket_directory(key_directory: Path) -> Path:
    """A private directory for p2pd's sockets, emptied of what an earlier process left. Needs the key's lock."""
    mark = hashlib.sha256(str(key_directory.resolve()).encode()).hexdigest()[:12]
    path = Path(tempfile.gettempdir()) / f"swarm-dht-{os.getuid()}-{mark}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise FatalError(f"{path} belongs to somebody else.", "remove it")
        path.chmod(0o700)
        for stale in path.glob("hivemind-*.sock"):
            stale.unlink(missing_ok=True)
    except OSError as error:
        raise FatalError(
            f"The directory {path} cannot be made ({error.strerror}).", "give it a writable /tmp"
        ) from error
    return path


def _keep(path: Path, data: bytes) -> None:
    try:
        name = f"replaced-{parse_key(data).peer_id}.pem"
    except KeyFormatError:  # damaged: what a restore is for
        name = f"replaced-{hashlib.sha256(data).hexdigest()[:16]}.pem"
    with contextlib.suppress(FileExistsError):  # kept before, by a start that was interrupted
        os.link(path, path.with_name(name))


def _key_group(directory: Path) -> int | None:
    group = directory.stat().st_gid
    return group if group in {os.getegid(), *os.getgroups()} else None


def _create(path: Path) -> None:
    gid = _key_group(path.parent)
    with contextlib.suppress(FileExistsError):  # a restore was faster: its key is the one
        write_atomic(path, generate_key(), _MODE, gid=gid, overwrite=False)
        log.info("new peer key made", path=path)
