"""`swarm-join-env`: prints the `.env` that somebody else needs to join this host's swarm.

Runs in the gateway's container, where the deployment and the daemon's socket can be read: `make join-env HOST=...`.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from swarm_chain.deployment import Deployment, read_deployment
from swarm_core.client import UnixClient
from swarm_core.errors import FatalError, SwarmError
from swarm_core.settings import ENV_VERSION
from swarm_core.status import DhtStatus

_DEADLINE_SECONDS = 10.0
_TCP = re.compile(r"/tcp/([0-9]+)")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")


def multiaddr_host(host: str) -> str:
    """`host` as the beginning of a multiaddr. Raises FatalError when others cannot reach it by that."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        if len(host) > 253 or not _NAME.fullmatch(host):
            remedy = "give HOST=swarm.example or HOST=203.0.113.7"
            raise FatalError(f"{host!r} is no host name and no address.", remedy) from None
        return f"/dns4/{host}"
    if address.is_loopback or address.is_unspecified:
        remedy = "give the name or address by which others reach this machine"
        raise FatalError(f"Nobody else can reach {host}.", remedy)
    return f"/ip{address.version}/{address}"


def join_env(deployment: Deployment, peer_id: str, host: str, rpc_port: int, p2p_port: int) -> str:
    """The text of `join.env`. Raises FatalError for a host that nobody can reach."""
    start = multiaddr_host(host)
    name = f"[{host}]" if start.startswith("/ip6") else host
    lines = [
        "# Joins the swarm of another host: copy this file to .env beside docker-compose.yml, then",
        "#   docker compose up --build -d --wait",
        f"SWARM_ENV_VERSION={ENV_VERSION}",
        "SWARM_LOCAL_SWARM=0",
        f"SWARM_RPC_URL=http://{name}:{rpc_port}",
        f"SWARM_CHAIN_ID={deployment.chain_id}",
        f"SWARM_COORDINATOR={deployment.coordinator}",
        *([f"SWARM_MARKET={deployment.market}"] if deployment.market else []),
        f"SWARM_BOOTNODES={start}/tcp/{p2p_port}/p2p/{peer_id}",
        f"SWARM_JUDGE_URL=http://{name}:{rpc_port}/judge",
        "# gas is free there: report the reward of every round",
        "SWARM_SUBMIT_SECONDS=0",
        "# an account is made by itself; remove this line to claim the node on its page instead",
        "SWARM_LOGIN=auto",
    ]
    return "\n".join(lines) + "\n"


def tcp_port(listen: Sequence[str]) -> int:
    """The port of the first TCP address that the daemon listens on, published unchanged. Raises FatalError."""
    for address in listen:
        if match := _TCP.search(address):
            return int(match[1])
    raise FatalError("The daemon listens on no TCP address.", "look at the lines of the dht service")


async def _status(socket: Path) -> DhtStatus:
    client = UnixClient(socket)
    try:
        return DhtStatus.model_validate(await client.get_json("/v1/status", deadline=_DEADLINE_SECONDS))
    finally:
        await client.close()


def main() -> None:
    """Console script."""
    parser = argparse.ArgumentParser(description="Print the .env with which others join this swarm.")
    parser.add_argument("--host", required=True, help="name or address by which others reach this machine")
    parser.add_argument("--rpc-port", type=int, default=8645)
    parser.add_argument("--deployment", type=Path, default=Path("/deployment/deployment.json"))
    parser.add_argument("--socket", type=Path, default=Path("/run/swarm/dht.sock"))
    arguments = parser.parse_args()
    try:
        status = asyncio.run(_status(arguments.socket))
        deployment = read_deployment(arguments.deployment)
        port = tcp_port(status.listen)
        text = join_env(deployment, status.peer_id, arguments.host, arguments.rpc_port, port)
    except SwarmError as error:
        sys.exit(f"swarm-join-env: {error}")
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
