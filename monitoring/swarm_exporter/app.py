"""The HTTP side: `/metrics`, `/v1/live`, and a page that names them."""

from __future__ import annotations

from fastapi import FastAPI, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from swarm_exporter.scrape import Scraper

_PAGE = "RL Swarm exporter: the metrics of this host's nodes for Prometheus are at /metrics.\n"


def make_app(scraper: Scraper) -> FastAPI:
    """The ASGI app."""
    app = FastAPI(title="swarm-exporter", openapi_url=None)

    @app.get("/")
    async def page() -> Response:
        return PlainTextResponse(_PAGE)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(await scraper.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    @app.get("/v1/live")
    async def live() -> dict[str, str]:
        return {"state": "live"}

    return app
