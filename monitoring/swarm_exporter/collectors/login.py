"""The host's login service: `login.sock`. Answers "what do I have to do" and "does what I earn leave the outbox".

Its own series carry the main node's label, those of a peer the label of that peer's node.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter

from swarm_core.status import IdentityState, LoginStatus, PeerAccount
from swarm_exporter.nodes import Nodes
from swarm_exporter.peers import OwnPeers
from swarm_exporter.samples import Samples
from swarm_exporter.source import Sockets

SOCKET = "login.sock"
KINDS = ("register", "reward", "winner")
OUTCOMES = ("delivered", "rejected")
# what the operator can do about a state; the other states pass by themselves or are good
ACTIONS: dict[str, str] = {
    "no_gas": "fund_account",
    "wrong_chain": "fix_chain_settings",
    "owned_by_other": "restore_account",
}
_STATUS = TypeAdapter(LoginStatus)


class LoginCollector:
    """Status of the login service."""

    name = "login"

    def __init__(self, sockets: Sockets, directory: Path, nodes: Nodes, peers: OwnPeers) -> None:
        self._sockets = sockets
        self._socket = directory / SOCKET
        self._nodes = nodes
        self._node = nodes.main.label
        self._peers = peers

    async def collect(self, samples: Samples) -> bool:
        status = await self._sockets.read(self._socket, "/v1/status", _STATUS)
        samples.add("rlswarm_component_up", status is not None, self._node, self.name)
        if status is None:
            return False
        add_status(samples, self._node, status)
        counted = {node.label for node in self._nodes.present() if self._nodes.counts(node)}
        for peer in status.peers:
            node = self._peers.node_of(peer.peer_id) or peer.node or self._node
            if node in counted:  # the login service remembers peers that left this host long ago
                self._peers.seen(peer.peer_id, node)
                add_peer(samples, node, peer)
        return True


def add_status(samples: Samples, node: str, status: LoginStatus) -> None:
    """Samples of the service itself."""
    samples.add("rlswarm_memory_rss_bytes", status.memory_rss, node, "login")
    samples.add("rlswarm_component_error", bool(status.last_error), node, "login")
    samples.add("rlswarm_login_info", 1, node, status.version, status.mode, status.account or "")
    samples.add("rlswarm_login_claimed", status.claimed, node)
    samples.one_of("rlswarm_identity_state", get_args(IdentityState), status.state, node)
    samples.add("rlswarm_action_required", not status.claimed and status.mode == "page", node, "claim")
    states = {status.state, *(peer.state for peer in status.peers)}
    for state, action in ACTIONS.items():
        samples.add("rlswarm_action_required", state in states, node, action)
    for kind in dict.fromkeys((*KINDS, *status.submissions)):
        samples.counts("rlswarm_chain_submissions_total", status.submissions.get(kind, {}), node, kind, known=OUTCOMES)
    samples.counts("rlswarm_outbox_pending", status.pending, node, known=KINDS)
    samples.add("rlswarm_outbox_oldest_pending_seconds", status.oldest_pending_seconds, node)


def add_peer(samples: Samples, node: str, peer: PeerAccount) -> None:
    """Samples of one own peer as the login service sees it."""
    samples.one_of("rlswarm_peer_state", get_args(IdentityState), peer.state, node, peer.peer_id)
    samples.add("rlswarm_peer_rewards_local", peer.local_total, node, peer.peer_id)
    samples.add("rlswarm_peer_rewards_delivered", peer.delivered_total, node, peer.peer_id)
