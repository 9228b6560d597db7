"""Keys of the extra peers of this host, one numbered slot each: read for a backup, handed over in a restore.

A slot's directory is made by `swarm_core.peer_slot`; its daemon takes `incoming.pem` as the node's own does
(`swarm_dht.key_file`). A slot that no peer has taken yet is made, and its key waits there for the peer that takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from login_proxy.backup.bundle import MAX_EXTRA_PEERS
from swarm_core.errors import FatalError
from swarm_core.files import write_atomic
from swarm_core.identity import KeyFormatError, parse_key

_KEY, _INCOMING = "swarm.pem", "incoming.pem"
_MAX_KEY_BYTES = 64 * 1024
_REMEDY = "start the extra peers once with this version, which opens the volume peer-keys to the login service"


class ExtraPeers:
    """The slots below `directory`; without such a directory there are none."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: dict[int, tuple[tuple[int, int], str]] = {}

    def keys(self) -> dict[int, bytes]:
        """slot -> key, for every slot that has one. Raises FatalError when one cannot be read or is no key."""
        found: dict[int, bytes] = {}
        try:
            for slot, path in self._slots():
                data = _read(path)
                if data is not None:
                    parse_key(data)
                    found[slot] = data
        except KeyFormatError as error:
            raise FatalError(
                f"The key of extra peer {slot} is unusable: {error}.", "restore it, or move its directory away"
            ) from error
        except OSError as error:
            raise FatalError(
                f"The keys of the extra peers cannot be read ({error.strerror}: {error.filename}).", _REMEDY
            ) from error
        return found

    def ids(self) -> frozenset[str] | None:
        """Peer ids of all slots; None when one cannot be read. A key is read again only when its file changed."""
        found = set()
        try:
            for slot, path in self._slots():
                try:
                    told = path.stat()
                except FileNotFoundError:
                    continue
                mark = (told.st_mtime_ns, told.st_ino)
                if slot not in self._seen or self._seen[slot][0] != mark:
                    self._seen[slot] = (mark, parse_key(_read(path) or b"").peer_id)
                found.add(self._seen[slot][1])
        except (OSError, KeyFormatError):
            return None
        return frozenset(found)

    def replaced_by(self, keys: Mapping[int, bytes]) -> dict[int, bytes]:
        """slot -> present key, of the slots whose key a restore of `keys` changes. Raises OSError."""
        present = {slot: _read(path) for slot, path in self._slots()}
        return {
            slot: data for slot, data in present.items() if data is not None and keys.get(slot, data) != data
        }  # fmt: skip

    def hand_over(self, keys: Mapping[int, bytes]) -> None:
        """Give each slot its key. One that another slot has and keeps is left out: a peer runs once. Raises OSError."""
        present = {slot: _read(path) for slot, path in self._slots()}
        staying = {data for slot, data in present.items() if slot not in keys}
        for slot, key in keys.items():
            if key in staying:
                continue
            directory = self._directory / str(slot)
            if not directory.exists():
                directory.mkdir()
                directory.chmod(0o2770)
            hand_over(directory, key)

    def _slots(self) -> list[tuple[int, Path]]:
        """(slot, path of its key), whether the key is there or not. Raises OSError."""
        try:
            names = [entry.name for entry in self._directory.iterdir() if entry.name.isdecimal() and entry.is_dir()]
        except FileNotFoundError:
            return []
        slots = sorted(int(name) for name in names)
        return [(slot, self._directory / str(slot) / _KEY) for slot in slots if 1 <= slot <= MAX_EXTRA_PEERS]


def hand_over(directory: Path, key: bytes) -> None:
    """Let the daemon of `directory` take `key`, which it need not when it has it. Raises OSError."""
    incoming = directory / _INCOMING
    if _read(directory / _KEY) == key:
        incoming.unlink(missing_ok=True)  # of a restore that this one follows
    else:
        write_atomic(incoming, key, 0o640)


def _read(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES)
    except FileNotFoundError:
        return None
