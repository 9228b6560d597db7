"""The status socket `/run/login/login.sock`: read by the exporter, the healthcheck and tests. Works with `node`."""

from __future__ import annotations

from fastapi import FastAPI

from login_proxy.node import LoginNode
from swarm_core.status import LoginStatus


def make_status_api(node: LoginNode) -> FastAPI:
    """The ASGI app of the status socket."""
    app = FastAPI(title="RL Swarm login status", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/v1/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v1/status")
    async def status() -> LoginStatus:
        return await node.status()

    return app
