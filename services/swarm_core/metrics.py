"""The catalogue of metric names: what each means, its kind and its labels.

The exporter makes its series from here; dashboards, alert rules and docs are tested against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "rlswarm_"


@dataclass(frozen=True)
class Metric:
    """One metric family. `name` is complete; `labels` come in this order."""

    name: str
    kind: Literal["gauge", "counter", "info"]
    help: str
    labels: tuple[str, ...] = ("node",)


def _metric(name: str, kind: Literal["gauge", "counter", "info"], text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, kind, text, ("node", *labels))


CATALOGUE: tuple[Metric, ...] = (
    Metric(PREFIX + "build_info", "info", "Version of the exporter", ("version",)),
    _metric("node_info", "info", "The node behind this label", "peer_id", "node_name", "model", "device"),
    _metric("component_up", "gauge", "1 when the component answered the last scrape", "component"),
    _metric("phase", "gauge", "1 for the worker's phase, 0 for the others", "phase"),
    _metric("rounds_total", "counter", "Rounds of the worker by result", "result"),
    _metric("round_current", "gauge", "Round of the contract"),
    _metric("rounds_behind", "gauge", "Rounds the worker is behind the contract"),
    _metric("last_progress_timestamp_seconds", "gauge", "When the last round ended well"),
    _metric("train_reward_mean", "gauge", "Mean reward of the last round", "source"),
    _metric("external_groups_total", "counter", "Rollout groups of other peers", "result"),
    _metric("dht_peers", "gauge", "Peers in the routing table"),
    _metric("chain_submissions_total", "counter", "Intents of the outbox by outcome", "kind", "result"),
    _metric("outbox_pending", "gauge", "Intents not yet finished", "kind"),
    _metric("peer_rewards", "gauge", "Total rewards of a peer on chain", "peer_id"),
)
