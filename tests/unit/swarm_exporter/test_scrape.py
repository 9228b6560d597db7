"""A scrape survives its collectors: faults and overruns are counted, results are shared and cached, stages kept."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from swarm_exporter import scrape
from swarm_exporter.samples import Samples
from swarm_exporter.scrape import Scraper


class Recorder:
    """A collector that calls `act`."""

    def __init__(self, name: str, act: Callable[[], Any]) -> None:
        self.name = name
        self._act = act
        self.runs = 0

    async def collect(self, samples: Samples) -> bool:
        self.runs += 1
        samples.add("rlswarm_component_up", 1, "main", self.name)
        answer = self._act()
        return bool(await answer if asyncio.iscoroutine(answer) else answer)


def _values(text: bytes, name: str, label: str) -> dict[str, float]:
    return {
        sample.labels[label]: sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
        if sample.name == name
    }


def _fail() -> bool:
    raise ZeroDivisionError


async def test_faults_and_overruns_leave_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrape, "COLLECTOR_SECONDS", 0.05)
    collectors = [
        Recorder("worker", lambda: True),
        Recorder("dht", _fail),
        Recorder("login", lambda: asyncio.sleep(5)),
        Recorder("chain", lambda: False),
    ]
    text = await Scraper([collectors], 0).text()
    success = _values(text, "rlswarm_collector_success", "collector")
    assert success == {"worker": 1, "dht": 0, "login": 0, "chain": 0}
    durations = _values(text, "rlswarm_collector_duration_seconds", "collector")
    assert durations.keys() == success.keys()
    assert 0.04 < durations["login"] < 2
    assert len(_values(text, "rlswarm_component_up", "component")) == 4
    assert len(_values(text, "rlswarm_build_info", "version")) == 1


async def test_scrapes_share_a_run_and_its_result() -> None:
    worker = Recorder("worker", lambda: asyncio.sleep(0.02, True))
    scraper = Scraper([[worker]], cache_seconds=60)
    texts = await asyncio.gather(*(scraper.text() for _ in range(5)))
    assert worker.runs == 1
    assert len(set(texts)) == 1


async def test_without_a_cache_every_scrape_reads() -> None:
    worker = Recorder("worker", lambda: True)
    scraper = Scraper([[worker]], cache_seconds=0)
    await scraper.text()
    await scraper.text()
    assert worker.runs == 2


async def test_a_later_stage_waits_for_the_earlier() -> None:
    order: list[str] = []

    async def slow() -> bool:
        await asyncio.sleep(0.02)
        order.append("first")
        return True

    def last() -> bool:
        order.append("second")
        return True

    await Scraper([[Recorder("worker", slow)], [Recorder("chain", last)]], 0).text()
    assert order == ["first", "second"]
