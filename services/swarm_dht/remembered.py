"""Peers kept on disk over restarts: how a node finds the swarm again when none of its bootnodes answers.

`peers.txt` beside the key: one multiaddr with /p2p/<id> a line, the latest met first. What is in it is only a hint: it
is parsed as strictly as a bootnode of the chain, and every peer must prove its id when it is dialled.
"""

from __future__ import annotations

from pathlib import Path

from swarm_core.files import write_atomic
from swarm_core.log import get_logger
from swarm_dht.addresses import parse_bootnode, parse_known

FILE_NAME = "peers.txt"
_MAX_PEERS = 64
_MAX_ADDRESSES = 4
_MAX_BYTES = 128 * 1024
_MODE = 0o640
log = get_logger("remembered")


class Remembered:
    """The file. Its loss costs nothing, so no error of it is one of the daemon's."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._written: list[str] = []
        self.count = 0

    def read(self) -> dict[str, list[str]]:
        """Peers and their addresses, the latest met first; empty when there is no usable file."""
        try:
            with self._path.open("rb") as file:
                lines = file.read(_MAX_BYTES).decode("ascii", "replace").splitlines()
        except FileNotFoundError:  # a first start
            return {}
        except OSError as error:
            log.warning("remembered peers not read", error=error.strerror)
            return {}
        found: dict[str, list[str]] = {}
        for line in lines:
            try:
                bootnode = parse_bootnode(line)
            except ValueError:
                continue
            addresses = found.setdefault(bootnode.peer_id, []) if len(found) < _MAX_PEERS else []
            if len(addresses) < _MAX_ADDRESSES:
                addresses.append(bootnode.address.text)
        self.count = len(found)
        return found

    def write(self, peers: dict[str, list[str]]) -> None:
        """Keep `peers`, the latest met last; those without an address that can be dialled are left out."""
        lines: list[str] = []
        count = 0
        for peer in reversed(peers):
            known = [address.text for text in peers[peer] if (address := parse_known(text)) is not None]
            if known and count < _MAX_PEERS:
                count += 1
                lines += [f"{address}/p2p/{peer}" for address in known[:_MAX_ADDRESSES]]
        if not lines or sorted(lines) == self._written:
            return  # unchanged; or alone now, when what was known before is the better hint
        try:
            write_atomic(self._path, ("\n".join(lines) + "\n").encode(), _MODE)
        except OSError as error:
            log.warning("remembered peers not written", error=error.strerror)
            return
        self._written, self.count = sorted(lines), count
