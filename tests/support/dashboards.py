"""Queries of a Grafana dashboard, and whether a Prometheus has data for them; for interface, integration, e2e tests."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

_NAME = re.compile(r"\b(?:rlswarm|gensyn)_\w+")
_VARIABLES = {"$__rate_interval": "1m", "$__interval": "15s", "$__range": "15m", "$node": ".*"}


@dataclass(frozen=True)
class Query:
    """One target of one panel."""

    panel: str
    expr: str

    def metric_names(self) -> set[str]:
        """Names of our metrics in the expression."""
        return set(_NAME.findall(self.expr))

    def promql(self) -> str:
        """The expression with Grafana's variables filled in as for "All"."""
        text = self.expr
        for name, value in _VARIABLES.items():
            text = text.replace(name, value)
        return text


def queries(dashboard: Path) -> list[Query]:
    """All queries of all panels, and those of the variables as `count(metric)`."""
    document = json.loads(dashboard.read_text())
    panels = _panels(document)
    found = [Query(panel["title"], target["expr"]) for panel in panels for target in panel.get("targets", ())]
    for variable in document["templating"]["list"]:
        match = re.fullmatch(r"label_values\((.+), ?(\w+)\)", variable["definition"])
        assert match, f"variable {variable['name']} is not label_values(metric, label)"
        found.append(Query(f"${variable['name']}", f"count by ({match[2]}) ({match[1]})"))
    return found


def without_data(prometheus_url: str, dashboard: Path, minutes: float = 15) -> list[Query]:
    """The queries that give no finite value in the last `minutes`. Raises ValueError for one it refuses."""
    end = time.time()
    span = {"start": end - 60 * minutes, "end": end, "step": 5}
    with httpx.Client(base_url=prometheus_url, timeout=20, trust_env=False) as http:
        return [query for query in queries(dashboard) if not _has_data(http, query, span)]


def _has_data(http: httpx.Client, query: Query, span: dict[str, float]) -> bool:
    answer = http.get("/api/v1/query_range", params={"query": query.promql(), **span}).json()
    if answer["status"] != "success":
        raise ValueError(f"{query.panel}: {answer.get('error')}: {query.promql()}")
    return any(math.isfinite(float(value)) for series in answer["data"]["result"] for _, value in series["values"])


def _panels(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in document["panels"]:
        yield panel
        yield from _panels({"panels": panel.get("panels", [])})
