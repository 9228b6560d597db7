"""`GET /metrics` of the daemon, for a Prometheus that scrapes it directly; the exporter reads the status instead.

A collector on a private registry reads the daemon's counters at scrape time; nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from swarm_core.metrics import PREFIX
from swarm_core.status import DhtState, DhtStatus
from swarm_dht.daemon import Daemon


def registry_of(daemon: Daemon) -> CollectorRegistry:
    """A registry with the daemon's metrics only."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_DaemonCollector(daemon))
    return registry


class _DaemonCollector(Collector):
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def collect(self) -> Iterable[Metric]:
        """One pass over status and counters."""
        status, counters = self._daemon.status(), self._daemon.counters
        yield GaugeMetricFamily(f"{PREFIX}dht_peers", "Peers in the routing table", status.peers)
        state = GaugeMetricFamily(f"{PREFIX}dht_state", "1 for the daemon's state, 0 for the others", labels=["state"])
        for name in get_args(DhtState):
            state.add_metric([name], float(name == status.state))
        yield state
        yield GaugeMetricFamily(f"{PREFIX}dht_memory_bytes", "Resident memory of daemon and p2pd", status.memory_rss)
        yield GaugeMetricFamily(f"{PREFIX}dht_groups_served", "Own groups open to others", len(status.published))
        if status.last_remote_success is not None:
            text = "When another peer answered last"
            name = f"{PREFIX}dht_last_remote_success_timestamp_seconds"
            yield GaugeMetricFamily(name, text, status.last_remote_success)
        yield CounterMetricFamily(f"{PREFIX}dht_rebuilds", "Times p2pd was replaced", status.rebuilds)
        yield CounterMetricFamily(f"{PREFIX}dht_received_bytes", "Bytes of fetched batches", status.bytes_received)
        yield CounterMetricFamily(f"{PREFIX}dht_sent_bytes", "Bytes of served batches", status.bytes_sent)
        yield CounterMetricFamily(f"{PREFIX}dht_collects", "Requests of the worker for groups", counters.collects)
        yield _labelled("dht_fetches", "Fetches from other peers by result", "result", counters.fetches)
        yield _labelled("dht_rejected", "Batches refused by reason", "reason", counters.rejected)
        yield _labelled("dht_failed", "Fetches that failed by reason", "reason", counters.failed)
        yield _labelled("dht_refused", "Callers told to come later by reason", "reason", self._daemon.gate.refused)
        yield from self._admission(status)

    def _admission(self, status: DhtStatus) -> Iterable[Metric]:
        admission, store, compat = status.admission, status.store, status.compat
        yield GaugeMetricFamily(f"{PREFIX}dht_banned", "Peers that are not asked now", len(admission.banned))
        yield CounterMetricFamily(f"{PREFIX}dht_bans", "Bans so far", admission.bans)
        yield _labelled("dht_blamed", "What peers did wrong by reason", "reason", admission.blamed)
        yield _labelled("dht_passed_over", "Peers not asked in a collect by reason", "reason", admission.passed_over)
        yield GaugeMetricFamily(f"{PREFIX}dht_store_bytes", "Bytes held in the DHT for others", store.bytes)
        yield _labelled("dht_store_refused", "Records not kept by reason", "reason", store.refused)
        if compat is not None:
            text = "1 while genrl compatibility is stopped near the limit of a message"
            yield GaugeMetricFamily(f"{PREFIX}dht_compat_stopped", text, float(compat.stopped))
            text = "Size of a round's dictionary, read or estimated"
            yield GaugeMetricFamily(f"{PREFIX}dht_compat_dictionary_bytes", text, compat.dictionary_bytes)
            yield _labelled("dht_compat_records", "Genrl records by what became of them", "result", compat.counts)
            yield _labelled("dht_compat_refused", "Genrl records refused by reason", "reason", compat.refused)


def _labelled(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
