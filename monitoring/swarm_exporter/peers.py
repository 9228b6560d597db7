"""Which peer ids this host has, and which node each belongs to: what the chain is asked about.

Fed by the collectors that read statuses, read by the chain's. A peer that nobody mentioned for `forget_seconds` is
dropped.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class OwnPeers:
    """Peer id → node label, with the time of the last mention."""

    def __init__(self, forget_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._forget_seconds = forget_seconds
        self._clock = clock
        self._seen: dict[str, tuple[str, float]] = {}

    def seen(self, peer_id: str, node: str) -> None:
        """A status named this peer; an empty id (not known yet) is ignored."""
        if peer_id:
            self._seen[peer_id] = (node, self._clock())

    def node_of(self, peer_id: str) -> str | None:
        """The label of the node that has this peer id."""
        entry = self._seen.get(peer_id)
        return entry[0] if entry else None

    def current(self) -> dict[str, str]:
        """All peers still known, peer id → node label."""
        horizon = self._clock() - self._forget_seconds
        self._seen = {peer: entry for peer, entry in self._seen.items() if entry[1] > horizon}
        return {peer: node for peer, (node, _) in self._seen.items()}
