"""Samples keep to the catalogue, are bounded in number, and render as text that Prometheus's parser reads back."""

from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from swarm_core.metrics import CATALOGUE
from swarm_exporter.samples import MAX_SERIES, Samples


def test_unknown_name_and_wrong_labels_are_refused() -> None:
    samples = Samples()
    with pytest.raises(KeyError):
        samples.add("rlswarm_nonsense", 1, "main")
    with pytest.raises(ValueError, match="labels"):
        samples.add("rlswarm_dht_peers", 1, "main", "too many")


def test_what_is_not_known_has_no_series(rendered: Any) -> None:
    samples = Samples()
    samples.add("rlswarm_train_loss", None, "main")
    samples.add("rlswarm_optimizer_step", 0, "main")
    values = rendered(samples)
    assert values("rlswarm_train_loss", node="main") is None
    assert values("rlswarm_optimizer_step", node="main") == 0


def test_every_metric_of_the_catalogue_renders_under_its_exact_name_kind_and_labels() -> None:
    samples = Samples()
    for metric in CATALOGUE:
        samples.add(metric.name, 3, *(f"v-{label}" for label in metric.labels))
    families = list(text_string_to_metric_families(samples.render().decode()))
    found = {sample.name: (family.type, sample.labels) for family in families for sample in family.samples}
    assert found == {
        metric.name: (
            "counter" if metric.kind == "counter" else "gauge",
            {label: f"v-{label}" for label in metric.labels},
        )
        for metric in CATALOGUE
    }


def test_labels_with_quotes_and_newlines_survive(rendered: Any) -> None:
    samples = Samples()
    samples.add("rlswarm_rounds_total", 1, "main", 'a "b"\\\nc')
    assert rendered(samples)("rlswarm_rounds_total", node="main", result='a "b"\\\nc') == 1


def test_too_many_keys_are_summed_under_other_and_nothing_is_lost(rendered: Any) -> None:
    samples = Samples()
    samples.counts("rlswarm_dht_rejected_total", {f"reason{n:03}": 1 for n in range(100)}, "main")
    values = [value for (name, _), value in rendered(samples).all.items() if name == "rlswarm_dht_rejected_total"]
    assert len(values) == MAX_SERIES + 1
    assert sum(values) == 100


def test_one_of_marks_the_chosen_even_if_it_is_new(rendered: Any) -> None:
    samples = Samples()
    samples.one_of("rlswarm_worker_state", ("training", "isolated"), "dreaming", "main")
    values = rendered(samples)
    states = ("training", "isolated", "dreaming")
    assert [values("rlswarm_worker_state", node="main", state=state) for state in states] == [0, 0, 1]


def test_known_keys_start_at_zero(rendered: Any) -> None:
    samples = Samples()
    samples.counts("rlswarm_outbox_pending", {"reward": 2}, "main", known=("reward", "winner"))
    values = rendered(samples)
    assert values("rlswarm_outbox_pending", node="main", kind="reward") == 2
    assert values("rlswarm_outbox_pending", node="main", kind="winner") == 0
