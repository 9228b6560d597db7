"""One scrape: every collector within a bound, its success and duration, and the text.

Concurrent scrapes share one run and its result is kept for `cache_seconds`, so that several Prometheus servers cost
no more than one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from swarm_core import __version__
from swarm_core.log import get_logger
from swarm_exporter.collectors.base import SourceCollector
from swarm_exporter.samples import Samples

COLLECTOR_SECONDS = 3.0
log = get_logger("scrape")


class Scraper:
    """Runs collectors in stages: those of one stage together, the next stage after them.

    The chain's comes last because the statuses say which peers to ask the contract about.
    """

    def __init__(self, stages: Sequence[Sequence[SourceCollector]], cache_seconds: float) -> None:
        self._stages = stages
        self._cache_seconds = cache_seconds
        self._lock = asyncio.Lock()
        self._text = b""
        self._made_at = float("-inf")

    async def text(self) -> bytes:
        """Prometheus text; never raises for what a source does."""
        async with self._lock:
            if time.monotonic() - self._made_at >= self._cache_seconds:
                self._text = await self._scrape()
                self._made_at = time.monotonic()
            return self._text

    async def _scrape(self) -> bytes:
        samples = Samples()
        samples.add("rlswarm_build_info", 1, __version__)
        for stage in self._stages:
            await asyncio.gather(*(self._run(collector, samples) for collector in stage))
        return samples.render()

    async def _run(self, collector: SourceCollector, samples: Samples) -> None:
        start = time.monotonic()
        success = False
        try:
            async with asyncio.timeout(COLLECTOR_SECONDS):
                success = await collector.collect(samples)
        except TimeoutError:
            log.warning("collector took too long", collector=collector.name, seconds=COLLECTOR_SECONDS)
        except Exception as error:  # noqa: BLE001 - a fault in one collector must not take the others' series away
            log.crash("collector failed", error, collector=collector.name)
        samples.add("rlswarm_collector_success", success, collector.name)
        samples.add("rlswarm_collector_duration_seconds", time.monotonic() - start, collector.name)
