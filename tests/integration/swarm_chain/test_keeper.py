"""swarm-round-keeper as a process: rounds go on at their pace, through outages, and the bootnode stands on chain."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from tests.support.chains import Anvil, LocalChain, deploy_settings

from swarm_chain import calls
from swarm_chain.client import ChainClient
from swarm_chain.deploy import deploy
from swarm_core.errors import SwarmError
from swarm_core.runner import Service
from swarm_core.uds import serve_unix

SERVICES = Path(__file__).parents[3] / "services"
PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
OTHER = "/dns4/elsewhere/tcp/1/p2p/QmOther"


class Keeper:
    """The console script with its sockets in `directory`."""

    def __init__(self, chain: LocalChain, directory: Path) -> None:
        self.socket = directory / "keeper.sock"
        self.log = directory / "keeper.log"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SERVICES),
            "SWARM_RPC_URL": chain.rpc_url,
            "SWARM_ROLE_KEYS_DIR": str(chain.role_keys),
            "SWARM_DEPLOYMENT_FILE": str(chain.deployment_file),
            "SWARM_ROUND_SECONDS": "1",
            "SWARM_KEEPER_SOCKET": str(self.socket),
            "SWARM_BOOTNODE_SOCKET": str(directory / "dht.sock"),
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", "from swarm_chain.keeper import main; main()"], env=environment, stderr=log
            )

    async def status(self) -> dict[str, dict[str, object]]:
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://keeper") as http:
            answer: dict[str, dict[str, object]] = (await http.get("/v1/status")).json()
            return answer

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(timeout=20)


@pytest.fixture
def persistent_chain(tmp_path: Path, anvil_path: Path) -> Iterator[LocalChain]:
    """A chain that keeps its state when it is stopped."""
    anvil = Anvil(anvil_path, state=tmp_path / "anvil.json")
    settings = deploy_settings(anvil.url, tmp_path)
    asyncio.run(deploy(settings))
    yield LocalChain(anvil, tmp_path, settings)
    anvil.stop(kill=True)


@pytest.fixture
def keeper(persistent_chain: LocalChain, tmp_path: Path) -> Iterator[Keeper]:
    """A running keeper; it must end with 0 when asked to."""
    keeper = Keeper(persistent_chain, tmp_path)
    yield keeper
    if keeper.process.poll() is None:
        assert keeper.stop() == 0, keeper.log.read_text()


@pytest.fixture
async def bootnode(tmp_path: Path) -> AsyncIterator[dict[str, str]]:
    """A status socket like the bootnode's; the dict is what it answers."""
    answer = {"peer_id": PEER}

    async def status(_: Request) -> JSONResponse:
        return JSONResponse(answer)

    service = Service("bootnode")
    serve_unix(service, Starlette(routes=[Route("/v1/status", status)]), tmp_path / "dht.sock")

    async def nothing() -> None:
        return

    running = asyncio.create_task(service.run(nothing()))
    yield answer
    service.stop.set()
    await running


async def eventually(check: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Poll until `check` holds; errors of the chain count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if await check():
                return
        except (SwarmError, httpx.HTTPError):
            pass
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.1)


async def current_round(client: ChainClient) -> int:
    return (await client.round_and_stage()).round


async def test_rounds_go_on_through_an_outage_without_a_burst(persistent_chain: LocalChain, keeper: Keeper) -> None:
    async with persistent_chain.client() as client:

        async def at_least(number: int) -> bool:
            return await current_round(client) >= number

        await eventually(lambda: at_least(3))
        persistent_chain.anvil.stop()

        async def outage_seen() -> bool:
            return (await keeper.status())["rounds"]["state"] == "unavailable"

        await eventually(outage_seen)
        await asyncio.sleep(4)  # the outage: four rounds long
        persistent_chain.anvil.start()
        back, began = await current_round(client), time.monotonic()
        await eventually(lambda: at_least(back + 3))
        assert await current_round(client) - back <= time.monotonic() - began + 2
        status = await keeper.status()
        assert status["rounds"]["state"] == "advancing"
        assert keeper.process.poll() is None
    assert keeper.log.read_text().count("rounds do not advance") == 1


async def test_the_bootnode_is_published_and_follows_its_peer_id(
    persistent_chain: LocalChain, bootnode: dict[str, str], keeper: Keeper
) -> None:
    async with persistent_chain.client() as client:
        manager = persistent_chain.role(client, "bootnode-manager")
        await manager.send(calls.add_bootnodes([OTHER]))
        wanted = {f"/dns4/bootnode/tcp/38751/p2p/{PEER}", OTHER}

        async def published() -> bool:
            return set(await client.bootnodes()) == wanted

        await eventually(published)
        assert (await keeper.status())["bootnode"]["published"] == [f"/dns4/bootnode/tcp/38751/p2p/{PEER}"]
        assert keeper.stop() == 0
        bootnode["peer_id"] = "QmNew"
        wanted = {"/dns4/bootnode/tcp/38751/p2p/QmNew", OTHER}
        again = Keeper(persistent_chain, keeper.socket.parent)
        try:
            await eventually(published)
        finally:
            assert again.stop() == 0


async def test_a_key_without_the_role_ends_the_keeper(persistent_chain: LocalChain, tmp_path: Path) -> None:
    (persistent_chain.role_keys / "stage-manager.key").write_text("11" * 32)
    keeper = Keeper(persistent_chain, tmp_path)
    assert keeper.process.wait(timeout=30) == 1
    assert "is not a stage manager" in keeper.log.read_text()
    assert "Traceback" not in keeper.log.read_text()


async def test_a_chain_killed_for_good_is_followed_after_a_new_deployment(
    persistent_chain: LocalChain, keeper: Keeper, tmp_path: Path
) -> None:
    async with persistent_chain.client() as client:

        async def advancing() -> bool:
            return await current_round(client) >= 1

        await eventually(advancing)
    persistent_chain.anvil.stop(kill=True)
    (tmp_path / "anvil.json").unlink(missing_ok=True)
    persistent_chain.anvil.start()
    await deploy(persistent_chain.settings)
    assert json.loads(persistent_chain.deployment_file.read_text())["block"] > 0
    async with persistent_chain.client() as client:
        await eventually(advancing)
    assert keeper.process.poll() is None
