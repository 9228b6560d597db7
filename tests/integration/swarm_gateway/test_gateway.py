"""The gateway before a real anvil: a node's chain client works through it, an attacker gets nothing off the list."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import uvicorn
from tests.support.chains import LocalChain, rpc
from tests.support.daemons import poll
from tests.support.ports import free_port

from swarm_chain.client import ChainClient
from swarm_chain.deployment import read_deployment
from swarm_chain.settings import ChainSettings
from swarm_gateway.proxy import MAX_BATCH, MAX_BODY_BYTES, Gateway, make_app


class Door:
    """A running gateway and a client of it."""

    def __init__(self, url: str, gateway: Gateway, http: httpx.AsyncClient) -> None:
        self.url, self.gateway, self.http = url, gateway, http

    async def call(self, method: str, *params: object) -> Any:
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": list(params)}
        return (await self.http.post("/", json=body)).json()


@pytest.fixture
async def door(session_chain: LocalChain) -> AsyncIterator[Door]:
    port = free_port()
    async with httpx.AsyncClient(timeout=20, trust_env=False) as behind:
        contracts = {read_deployment(session_chain.deployment_file).coordinator}
        gateway = Gateway(session_chain.rpc_url, "http://127.0.0.1:1", contracts, 20.0, 1.0, behind)
        server = uvicorn.Server(uvicorn.Config(make_app(gateway), port=port, log_config=None, lifespan="off"))
        task = asyncio.create_task(server.serve())
        await asyncio.to_thread(poll, lambda: server.started, 20, "the gateway")
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=20, trust_env=False) as http:
            yield Door(url, gateway, http)
        server.should_exit = True
        await task


async def test_a_node_works_through_it(door: Door, session_chain: LocalChain) -> None:
    settings = ChainSettings(rpc_url=door.url, coordinator=read_deployment(session_chain.deployment_file).coordinator)
    client = ChainClient(settings)
    try:
        await client.preflight()
        assert (await client.round_and_stage()).round >= 0
        assert await client.owners(["QmNobody"]) == [None]
        assert await client.balance("0x" + "aa" * 20) == 0
    finally:
        await client.close()


async def test_an_attacker_changes_nothing(door: Door, session_chain: LocalChain) -> None:
    victim, money = "0x" + "bb" * 20, hex(10**20)
    for method, params in [
        ("anvil_setBalance", [victim, money]), ("hardhat_setBalance", [victim, money]), ("evm_mine", []),
        ("anvil_setCode", [victim, "0x00"]), ("anvil_dumpState", []), ("eth_accounts", []),
        ("eth_sendTransaction", [{"from": victim, "to": victim}]), ("anvil_nodeInfo", []),
    ]:  # fmt: skip
        answer = await door.call(method, *params)
        assert answer["error"]["code"] == -32601, method
        assert "result" not in answer
    assert rpc(session_chain.rpc_url, "eth_getBalance", victim, "latest") == "0x0"


async def test_a_batch_is_judged_call_by_call_and_answers_keep_their_ids(door: Door) -> None:
    calls: list[Any] = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_chainId", "params": []},
        {"jsonrpc": "2.0", "id": 5, "method": "anvil_mine", "params": []},
        {"jsonrpc": "2.0", "id": "a", "method": "eth_blockNumber"},
        "junk",
    ]
    answers = (await door.http.post("/", json=calls)).json()
    assert [answer["id"] for answer in answers] == ["a", 5, "a", None]
    assert answers[0]["result"] == hex(53855)
    assert answers[1]["error"]["code"] == -32601
    assert "result" in answers[2]
    assert answers[3]["error"]["code"] == -32600


async def test_bounds(door: Door) -> None:
    assert (await door.http.post("/", content=b"x" * (MAX_BODY_BYTES + 1))).status_code == 413
    assert (await door.http.post("/", json=[{}] * (MAX_BATCH + 1))).status_code == 413
    assert (await door.http.post("/", json=[])).status_code == 413
    assert (await door.http.post("/", content=b"{" * 1000)).status_code == 400
    assert (await door.http.post("/", content=b"[" * 100_000)).status_code == 400
    for path in ("/docs", "/openapi.json", "/metrics", "/judge/", "/judge/healthz", "/judge/../", "/anvil"):
        assert (await door.http.get(path)).status_code in (404, 405), path
    assert (await door.http.get("/judge/current_clue/")).status_code == 502
    assert "127.0.0.1" not in (await door.http.get("/judge/current_clue/")).text


async def test_one_address_is_limited(door: Door) -> None:
    batch = [{"jsonrpc": "2.0", "id": number, "method": "eth_chainId", "params": []} for number in range(MAX_BATCH)]
    statuses = [(await door.http.post("/", content=json.dumps(batch))).status_code for _ in range(8)]
    assert statuses[0] == 200
    assert 429 in statuses
    assert door.gateway.counts["limited"] >= 1
