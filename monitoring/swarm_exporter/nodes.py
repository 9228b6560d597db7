"""The nodes of this host and which of them still count.

The main node has its sockets in the run directory, an extra peer in `peers/<slot>/` below. Directories of peers stay
in the volume when the peer is scaled away: one that has not answered for `forget_seconds` gives no series any more,
but is still asked, so that it comes back by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MAX_NODES = 65  # the main node and 64 slots


@dataclass(frozen=True)
class Node:
    """One node: the value of the label `node`, and the directory of its sockets."""

    label: str
    directory: Path


class Nodes:
    """Finds nodes and remembers when each answered last."""

    def __init__(
        self, run_dir: Path, name: str, forget_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.main = Node(name, run_dir)
        self._forget_seconds = forget_seconds
        self._clock = clock
        self._heard: dict[str, float] = {}

    def present(self) -> list[Node]:
        """The main node, then every peer that has a directory, by slot."""
        slots = sorted(int(path.name) for path in self._peer_directories() if path.name.isdecimal())
        peers = self.main.directory / "peers"
        nodes = [self.main, *(Node(f"peer-{slot}", peers / str(slot)) for slot in slots[: MAX_NODES - 1])]
        labels = {node.label for node in nodes}
        self._heard = {label: heard for label, heard in self._heard.items() if label in labels}
        return nodes

    def answered(self, node: Node) -> None:
        """Some process of the node answered just now."""
        self._heard[node.label] = self._clock()

    def counts(self, node: Node) -> bool:
        """Whether a silent `node` is still reported (as down) or has been forgotten."""
        if node == self.main:
            return True
        since = self._heard.setdefault(node.label, self._clock())
        return self._clock() - since < self._forget_seconds

    def _peer_directories(self) -> list[Path]:
        try:
            return [path for path in (self.main.directory / "peers").iterdir() if path.is_dir()]
        except OSError:  # no extra peers, or not allowed to look: then only the main node is seen
            return []
