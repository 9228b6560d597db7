"""Collectors read recorded documents, not sockets; clocks are set by hand; output is parsed as Prometheus does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, TypeAdapter

from swarm_exporter.samples import Samples
from swarm_exporter.source import Sockets

T = TypeVar("T")


class RecordedSockets(Sockets):
    """`documents[(socket, path)]` are answered, after a trip through JSON; everything else is silent."""

    def __init__(self) -> None:
        super().__init__()
        self.documents: dict[tuple[Path, str], BaseModel | list[BaseModel]] = {}

    async def read(self, socket: Path, path: str, kind: TypeAdapter[T]) -> T | None:
        document = self.documents.get((socket, path))
        if document is None:
            return None
        return kind.validate_json(TypeAdapter(type(document)).dump_json(document))


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


Parsed = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parse(samples: Samples) -> Parsed:
    """(name, labels) → value of everything rendered."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(samples.render().decode())
        for sample in family.samples
    }


class Rendered:
    """Rendered samples, looked up as `values("rlswarm_phase", node="main", phase="train")`."""

    def __init__(self, samples: Samples) -> None:
        self.all = parse(samples)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.all.get((name, frozenset(labels.items())))

    def series(self, **labels: str) -> set[str]:
        """Names that have a series with all of these labels."""
        return {name for name, found in self.all if set(labels.items()) <= found}


@pytest.fixture
def rendered() -> Callable[[Samples], Rendered]:
    return Rendered


@pytest.fixture
def sockets() -> RecordedSockets:
    return RecordedSockets()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run directory with one extra peer in slot 1."""
    (tmp_path / "peers" / "1").mkdir(parents=True)
    return tmp_path
