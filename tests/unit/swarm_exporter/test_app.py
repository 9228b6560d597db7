"""The HTTP side: content types, liveness without a scrape, a page that names /metrics."""

import httpx
import pytest

from swarm_exporter.app import make_app
from swarm_exporter.samples import Samples
from swarm_exporter.scrape import Scraper


class Counting:
    """A collector that counts its runs."""

    name = "worker"

    def __init__(self) -> None:
        self.runs = 0

    async def collect(self, samples: Samples) -> bool:
        self.runs += 1
        return True


@pytest.fixture
def collector() -> Counting:
    return Counting()


@pytest.fixture
def http(collector: Counting) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(make_app(Scraper([[collector]], 0)))
    return httpx.AsyncClient(transport=transport, base_url="http://exporter")


async def test_metrics(http: httpx.AsyncClient) -> None:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'rlswarm_collector_success{collector="worker"} 1.0' in answer.text


async def test_live_does_no_work(http: httpx.AsyncClient, collector: Counting) -> None:
    assert (await http.get("/v1/live")).status_code == 200
    assert collector.runs == 0


async def test_page_names_metrics(http: httpx.AsyncClient) -> None:
    answer = await http.get("/")
    assert "/metrics" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/v1/status"])
async def test_nothing_else_is_served(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404
