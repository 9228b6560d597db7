"""`swarm-round-keeper`: advances rounds and keeps the bootnode's address on chain.

Works with `rounds` and `bootnodes`; tells its state on a unix socket (`/v1/live`, `/v1/status`).
"""

from __future__ import annotations

from dataclasses import asdict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from swarm_chain.bootnodes import BootnodePublisher
from swarm_chain.client import ChainClient
from swarm_chain.keeper_settings import KeeperSettings
from swarm_chain.role_keys import load_key
from swarm_chain.rounds import RoundKeeper
from swarm_chain.wallet import Wallet
from swarm_core.runner import Service, run
from swarm_core.uds import serve_unix


def status_app(rounds: RoundKeeper, publisher: BootnodePublisher, seconds: int) -> Starlette:
    """The status server: `/v1/live` answers as long as the loop turns, `/v1/status` tells the two states."""

    async def live(_: Request) -> JSONResponse:
        return JSONResponse({"live": True})

    async def status(_: Request) -> JSONResponse:
        return JSONResponse(
            {"round_seconds": seconds, "rounds": asdict(rounds.state), "bootnode": asdict(publisher.state)}
        )

    return Starlette(routes=[Route("/v1/live", live), Route("/v1/status", status)])


async def _main(service: Service, settings: KeeperSettings) -> None:
    client = ChainClient(settings)
    service.on_close("chain client", client.close)
    stage_manager = Wallet(client, load_key(settings.role_keys_dir, "stage-manager"))
    bootnode_manager = Wallet(client, load_key(settings.role_keys_dir, "bootnode-manager"))
    rounds = RoundKeeper(client, stage_manager, settings.round_seconds)
    publisher = BootnodePublisher(client, bootnode_manager, settings.bootnode_socket, settings.bootnode_addresses())
    service.on_close("bootnode client", publisher.close)
    serve_unix(service, status_app(rounds, publisher, settings.round_seconds), settings.keeper_socket)
    service.spawn("rounds", rounds.run(service))
    service.spawn("bootnodes", publisher.run(service))


def main() -> None:
    """Console script `swarm-round-keeper`."""
    run("swarm-round-keeper", KeeperSettings, _main)
