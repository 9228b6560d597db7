"""Keys of the extra peers of this host, one numbered slot each: read for a backup, handed over in a restore.

A slot's directory is made by `swarm_core.peer_slot`; its daemon takes `incoming.pem` as the node's own does
(`swarm_dht.key_file`). A slot that no peer has taken yet is made, and its key waits there for the peer that takes it.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from login_proxy.backup.peer_ids import PeerIdMemo
from swarm_core.errors import FatalError
from swarm_core.files import write_atomic
from swarm_core.identity import KeyFormatError, parse_key
from swarm_core.key_files import INCOMING_NAME, KEY_NAME, MAX_SLOTS, read_key

_REMEDY = "start the extra peers once with this version, which opens the volume peer-keys to the login service"


class ExtraPeers:
    """The slots below `directory`; without such a directory there are none."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._memos: defaultdict[int, PeerIdMemo] = defaultdict(PeerIdMemo)

    def keys(self) -> dict[int, bytes]:
        """slot -> key, for every slot that has one. Raises FatalError when one cannot be read or is no key."""
        found: dict[int, bytes] = {}
        try:
            for slot, path in self._slots():
                data = read_key(path)
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
                with contextlib.suppress(FileNotFoundError):
                    found.add(self._memos[slot].of(path, partial(read_key, path)))
        except (OSError, KeyFormatError):
            return None
        return frozenset(peer for peer in found if peer is not None)

    def replaced_by(self, keys: Mapping[int, bytes]) -> dict[int, bytes]:
        """slot -> present key, of the slots whose key a restore of `keys` changes. Raises OSError."""
        present = {slot: read_key(path) for slot, path in self._slots()}
        return {
            slot: data for slot, data in present.items() if data is not None and keys.get(slot, data) != data
        }  # fmt: skip

    def hand_over(self, keys: Mapping[int, bytes]) -> None:
        """Give each slot its key. One that another slot has and keeps is left out: a peer runs once. Raises OSError."""
        present = {slot: read_key(path) for slot, path in self._slots()}
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
        return [(slot, self._directory / str(slot) / KEY_NAME) for slot in slots if 1 <= slot <= MAX_SLOTS]


def hand_over(directory: Path, key: bytes) -> None:
    """Let the daemon of `directory` take `key`, which it need not when it has it. Raises OSError."""
    incoming = directory / INCOMING_NAME
    if read_key(directory / KEY_NAME) == key:
        incoming.unlink(missing_ok=True)  # of a restore that this one follows
    else:
        write_atomic(incoming, key, 0o640)
