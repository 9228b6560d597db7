"""The DHT daemons of this host: `dht.sock` of every node. Answers "does it exchange with others, and if not, why"."""

from __future__ import annotations

import asyncio
from typing import get_args

from pydantic import TypeAdapter

from swarm_core.status import DhtState, DhtStatus
from swarm_exporter.nodes import Node, Nodes
from swarm_exporter.peers import OwnPeers
from swarm_exporter.samples import Samples
from swarm_exporter.source import Sockets

SOCKET = "dht.sock"
PASSED_OVER = ("denied", "banned", "unregistered", "account", "subnet")
_STATUS = TypeAdapter(DhtStatus)


class DhtCollector:
    """Status of each daemon."""

    name = "dht"

    def __init__(self, sockets: Sockets, nodes: Nodes, peers: OwnPeers) -> None:
        self._sockets = sockets
        self._nodes = nodes
        self._peers = peers

    async def collect(self, samples: Samples) -> bool:
        results = await asyncio.gather(*(self._node(samples, node) for node in self._nodes.present()))
        return all(results)

    async def _node(self, samples: Samples, node: Node) -> bool:
        status = await self._sockets.read(node.directory / SOCKET, "/v1/status", _STATUS)
        if status is None:
            if counts := self._nodes.counts(node):
                samples.add("rlswarm_component_up", 0, node.label, self.name)
            return not counts
        self._nodes.answered(node)
        self._peers.seen(status.peer_id, node.label)
        add_status(samples, node.label, status)
        return True


def add_status(samples: Samples, node: str, status: DhtStatus) -> None:
    """Samples of the daemon's status."""
    connected = sum(bootnode.connected for bootnode in status.bootnodes)
    samples.add("rlswarm_component_up", 1, node, "dht")
    samples.add("rlswarm_memory_rss_bytes", status.memory_rss, node, "dht")
    samples.add("rlswarm_action_required", status.state == "clock_skew", node, "set_clock")
    samples.add("rlswarm_action_required", status.state == "isolated", node, "check_bootnodes")
    samples.one_of("rlswarm_dht_state", get_args(DhtState), status.state, node)
    samples.add("rlswarm_dht_state_start_timestamp_seconds", status.state_since, node)
    samples.add("rlswarm_dht_peers", status.peers, node)
    samples.add("rlswarm_dht_bootnodes", connected, node, "connected")
    samples.add("rlswarm_dht_bootnodes", len(status.bootnodes) - connected, node, "not_connected")
    samples.add("rlswarm_dht_generation", status.generation, node)
    samples.add("rlswarm_dht_rebuilds_total", status.rebuilds, node)
    samples.add("rlswarm_dht_last_remote_success_timestamp_seconds", status.last_remote_success, node)
    samples.add("rlswarm_dht_published_groups", len(status.published), node)
    samples.counts("rlswarm_dht_fetches_total", status.fetches, node)
    samples.add("rlswarm_dht_served_total", sum(status.fetched_by.values()), node)
    samples.add("rlswarm_dht_served_peers", len(status.fetched_by), node)
    samples.counts("rlswarm_dht_rejected_total", status.rejected, node)
    samples.add("rlswarm_dht_bytes_total", status.bytes_received, node, "received")
    samples.add("rlswarm_dht_bytes_total", status.bytes_sent, node, "sent")
    for direction, counts in (("received", status.traffic_received), ("sent", status.traffic_sent)):
        for kind, count in counts.items():
            samples.add("rlswarm_dht_traffic_bytes_total", count, node, direction, kind)
    samples.counts("rlswarm_dht_failed_total", status.failed, node)
    samples.counts("rlswarm_dht_refused_total", status.refused, node)
    for quantile, seconds in status.fetch_seconds.items():
        samples.add("rlswarm_dht_fetch_seconds", seconds, node, quantile)
    samples.one_of("rlswarm_dht_reachability", ("unknown", "public", "private"), status.reachability, node)
    samples.add("rlswarm_dht_guests", status.guests_hosted, node, "hosted")
    samples.add("rlswarm_dht_guests", status.guests_known, node, "known")
    samples.counts("rlswarm_dht_deposits_total", status.deposits, node)
    samples.add("rlswarm_dht_remembered_peers", status.remembered, node)
    samples.add("rlswarm_dht_clock_offset_seconds", status.clock_offset, node)
    samples.add("rlswarm_dht_clock_jumps_total", status.clock_jumps, node)
    samples.add("rlswarm_dht_loop_lag_seconds", status.loop_lag, node)
    _add_admission(samples, node, status)


def _add_admission(samples: Samples, node: str, status: DhtStatus) -> None:
    """Whom the daemon keeps out, and what it does not keep for others."""
    admission, store, compat = status.admission, status.store, status.compat
    samples.add("rlswarm_dht_registered_only", admission.registered_only, node)
    samples.add("rlswarm_dht_banned_peers", len(admission.banned), node)
    samples.add("rlswarm_dht_bans_total", admission.bans, node)
    samples.counts("rlswarm_dht_blamed_total", admission.blamed, node)
    samples.counts("rlswarm_dht_passed_over_total", admission.passed_over, node, known=PASSED_OVER)
    samples.add("rlswarm_dht_store_bytes", store.bytes, node)
    samples.counts("rlswarm_dht_store_refused_total", store.refused, node)
    if compat is not None:
        samples.add("rlswarm_dht_compat_stopped", compat.stopped, node)
        samples.add("rlswarm_dht_compat_dictionary_bytes", compat.dictionary_bytes, node)
        samples.counts("rlswarm_dht_compat_records_total", compat.counts, node)
