"""`swarm-gateway`: opens a host's chain and judge to other nodes, and nothing else of them."""

from __future__ import annotations

import httpx

from swarm_chain.deployment import read_deployment
from swarm_core.log import get_logger
from swarm_core.runner import Service, run
from swarm_core.uds import serve_tcp
from swarm_gateway.proxy import Gateway, make_app
from swarm_gateway.settings import GatewaySettings

_CONNECT_SECONDS = 3.0
_CONNECTIONS = 32
_CLIENTS = 256  # connections from outside at a time
log = get_logger("gateway")


async def start(service: Service, settings: GatewaySettings) -> None:
    """Read which contracts are the swarm's, then serve."""
    deployment = read_deployment(settings.deployment_file)
    contracts = {deployment.coordinator, deployment.market} - {""}
    client = httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=_CONNECT_SECONDS),  # the gateway bounds the whole request
        limits=httpx.Limits(max_connections=_CONNECTIONS),
        trust_env=False,
        follow_redirects=False,
    )
    service.on_close("client", client.aclose)
    gateway = Gateway(
        settings.rpc_urls()[0], settings.judge_url, contracts, settings.gateway_reads, settings.gateway_writes, client
    )
    app = make_app(gateway)
    serve_tcp(service, app, "0.0.0.0", settings.gateway_port, "SWARM_GATEWAY_PORT", limit_concurrency=_CLIENTS)  # noqa: S104
    log.info("gateway up", port=settings.gateway_port, contracts=sorted(contracts))


def main() -> None:
    """Console script."""
    run("swarm-gateway", GatewaySettings, start)


if __name__ == "__main__":
    main()
