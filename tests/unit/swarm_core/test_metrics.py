"""The catalogue of metrics: unique names in Prometheus form, with help, each of a kind that its name tells."""

from __future__ import annotations

import re

import pytest

from swarm_core import metrics
from swarm_core.metrics import Metric


def test_the_catalogue_holds_every_metric_once() -> None:
    names = [metric.name for metric in metrics.CATALOGUE]
    assert len(names) == len(set(names)) > 30


@pytest.mark.parametrize("metric", metrics.CATALOGUE, ids=lambda metric: metric.name)
def test_form_of_a_metric(metric: Metric) -> None:
    assert re.fullmatch(r"(rlswarm|gensyn)_[a-z][a-z0-9_]*", metric.name)
    assert metric.help
    assert "\n" not in metric.help
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert (metric.kind == "info") == metric.name.endswith("_info")
    assert len(set(metric.labels)) == len(metric.labels)
    assert all(re.fullmatch(r"[a-z][a-z_]*", label) for label in metric.labels)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("build_info", {"version"}),
        ("node_info", {"peer_id", "node_name", "model", "device"}),
        ("component_up", {"component"}),
        ("phase", {"phase"}),
        ("rounds_total", {"result"}),
        ("round_current", set()),
        ("rounds_behind", set()),
        ("last_progress_timestamp_seconds", set()),
        ("train_reward_mean", {"source"}),
        ("external_groups_total", {"result"}),
        ("dht_peers", set()),
        ("chain_submissions_total", {"kind", "result"}),
        ("outbox_pending", {"kind"}),
        ("peer_rewards", {"peer_id"}),
    ],
)
def test_names_that_others_rely_on(name: str, labels: set[str]) -> None:
    metric = next(metric for metric in metrics.CATALOGUE if metric.name == f"rlswarm_{name}")
    assert labels <= set(metric.labels)
