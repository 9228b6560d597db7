"""What a collector is."""

from __future__ import annotations

from typing import Protocol

from swarm_exporter.samples import Samples


class SourceCollector(Protocol):
    """Reads one kind of source."""

    name: str

    async def collect(self, samples: Samples) -> bool:
        """Add samples; True when every source that counts gave a usable answer. Never raises for a dead source."""
        ...
