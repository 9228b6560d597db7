"""Peers kept on disk over restarts: how a node finds the swarm again when none of its bootnodes answers.

`peers.json` beside the key: a list of {peer, addresses}, the latest met first. What is in it is only a hint: it is
parsed as strictly as a bootnode of the chain, and every peer must prove its id when it is dialled.
"""

from __future__ import annotations

import json
from pathlib import Path

from swarm_core.files import write_atomic
from swarm_core.identity import is_peer_id
from swarm_core.log import get_logger
from swarm_dht.addresses import parse_known

FILE_NAME = "peers.json"
_MAX_PEERS = 64
_MAX_ADDRESSES = 4
_MAX_BYTES = 128 * 1024
_MODE = 0o640
log = get_logger("remembered")


class Remembered:
    """The file. Its loss costs nothing, so no error of it is one of the daemon's."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / FILE_NAME
        self._written = ""
        self.count = 0

    def read(self) -> dict[str, list[str]]:
        """Peers and their addresses, the latest met first; empty when there is no usable file."""
        try:
            with self._path.open("rb") as file:
                entries = json.loads(file.read(_MAX_BYTES))
        except (OSError, ValueError, RecursionError) as error:
            log.debug("no remembered peers", error=str(error))
            return {}
        found: dict[str, list[str]] = {}
        for entry in entries if isinstance(entries, list) else []:
            peer, addresses = (entry.get("peer"), entry.get("addresses")) if isinstance(entry, dict) else (None, None)
            if not isinstance(peer, str) or not is_peer_id(peer) or not isinstance(addresses, list):
                continue
            kept = [text for text in addresses if isinstance(text, str) and parse_known(text) is not None]
            if kept and len(found) < _MAX_PEERS:
                found[peer] = kept[:_MAX_ADDRESSES]
        self.count = len(found)
        return found

    def write(self, peers: dict[str, list[str]]) -> None:
        """Keep `peers`, the latest met last; those without an address that can be dialled are left out."""
        entries: list[dict[str, object]] = []
        for peer in reversed(peers):
            addresses = [text for text in peers[peer] if parse_known(text) is not None][:_MAX_ADDRESSES]
            if addresses and len(entries) < _MAX_PEERS:
                entries.append({"peer": peer, "addresses": addresses})
        if not entries:
            return  # alone now: what was known before is the better hint
        text = json.dumps(sorted(entries, key=lambda entry: str(entry["peer"])))
        if text == self._written:
            return
        try:
            write_atomic(self._path, json.dumps(entries, indent=1).encode(), _MODE)
        except OSError as error:
            log.warning("remembered peers not written", error=error.strerror)
            return
        self._written, self.count = text, len(entries)
