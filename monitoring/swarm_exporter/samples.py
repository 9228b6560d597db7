"""The samples of one scrape, kept to the catalogue, and their form in Prometheus's text format.

Collectors add samples; `render` goes over a private registry, so nothing of the process itself leaks in. A scrape
starts empty: what is gone from the sources is gone from the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from swarm_core.metrics import CATALOGUE, Metric

MAX_SERIES = 32
OTHER = "other"


class Samples(Collector):
    """Values by metric name and label values."""

    def __init__(self, catalogue: Iterable[Metric] = CATALOGUE) -> None:
        self._catalogue = {metric.name: metric for metric in catalogue}
        self._values: dict[str, dict[tuple[str, ...], float]] = {}

    def add(self, name: str, value: float | None, *labels: str) -> None:
        """Set a sample; None means that the source does not know it. KeyError or ValueError outside the catalogue."""
        metric = self._catalogue[name]
        if len(labels) != len(metric.labels):
            raise ValueError(f"{name} has the labels {metric.labels}, got {labels}")
        if value is not None:
            self._values.setdefault(name, {})[labels] = float(value)

    def one_of(self, name: str, options: Iterable[str], chosen: str, *labels: str) -> None:
        """One sample an option: 1 for `chosen`, 0 for the others. The option is the last label."""
        for option in dict.fromkeys((*options, chosen)):
            self.add(name, option == chosen, *labels, option)

    def counts(self, name: str, counts: Mapping[str, float], *labels: str, known: Iterable[str] = ()) -> None:
        """One sample a key, which is the last label; `known` keys are there from the start, at 0.

        Keys beyond `MAX_SERIES` are summed under `other`, so that no source can make the series explode.
        """
        merged = {**dict.fromkeys(known, 0.0), **counts}
        kept = sorted(merged)[:MAX_SERIES] if len(merged) > MAX_SERIES else list(merged)
        for key in kept:
            self.add(name, merged[key], *labels, key)
        if rest := sum(merged[key] for key in merged.keys() - set(kept)):
            self.add(name, rest + (merged[OTHER] if OTHER in kept else 0.0), *labels, OTHER)

    def collect(self) -> Iterator[Family]:
        """The families in the catalogue's order."""
        for name, metric in self._catalogue.items():
            if values := self._values.get(name):
                family: Family
                if metric.kind == "counter":
                    family = CounterMetricFamily(name, metric.help, labels=metric.labels)
                else:
                    family = GaugeMetricFamily(name, metric.help, labels=metric.labels)
                for labels, value in values.items():
                    family.add_metric(labels, value)
                yield family

    def render(self) -> bytes:
        """Prometheus's text format, version 0.0.4."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)
