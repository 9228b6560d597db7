"""The JSON-RPC client without a network: what counts as outage, refusal or revert, and how URLs stand in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import eth_abi
import httpx
import pytest

from swarm_chain.abi import selector
from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, RpcRefused, WrongChain, WrongContract
from swarm_chain.rpc import Rpc
from swarm_chain.settings import ChainSettings
from swarm_core.errors import Unavailable

Handler = Callable[[str, str], Any]


def rpc_of(handler: Handler, *urls: str, chain_id: int = 5, seconds: float = 5.0) -> tuple[Rpc, list[tuple[str, str]]]:
    """An Rpc whose nodes are `handler(host, method)`, and the list of (host, method) that were asked."""
    asked: list[tuple[str, str]] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        requests = body if isinstance(body, list) else [body]
        answers = []
        for entry in requests:
            asked.append((request.url.host, entry["method"]))
            if entry["method"] == "eth_chainId":
                answer = handler(request.url.host, "eth_chainId") or {"result": hex(chain_id)}
            else:
                answer = handler(request.url.host, entry["method"])
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, httpx.Response):
                return answer
            if isinstance(answer, float):
                await asyncio.sleep(answer)
            answers.append({"jsonrpc": "2.0", "id": entry["id"]} | (answer if isinstance(answer, dict) else {}))
        # answers of a batch may come in any order
        return httpx.Response(200, json=answers[::-1] if isinstance(body, list) else answers[0])

    rpc = Rpc(urls or ("http://one",), chain_id, seconds=seconds, transport=httpx.MockTransport(handle))
    return rpc, asked


async def test_a_batch_is_answered_in_its_own_order() -> None:
    rpc, _ = rpc_of(lambda host, method: None if method == "eth_chainId" else {"result": method})
    assert await rpc.batch([("a", []), ("b", []), ("c", [])]) == ["a", "b", "c"]


async def test_the_chain_id_is_checked_once_and_again_after_a_failure() -> None:
    down = False

    def node(host: str, method: str) -> Any:
        if down:
            return httpx.ConnectError("refused")
        return None if method == "eth_chainId" else {"result": 1}

    rpc, asked = rpc_of(node)
    await rpc.call("x")
    await rpc.call("x")
    down = True
    with pytest.raises(Unavailable):
        await rpc.call("x")
    down = False
    await rpc.call("x")
    assert [method for _, method in asked] == ["eth_chainId", "x", "x", "x", "eth_chainId", "x"]


async def test_another_chain_is_never_asked_anything() -> None:
    rpc, asked = rpc_of(lambda host, method: {"result": "0x9"} if method == "eth_chainId" else {"result": 1})
    with pytest.raises(WrongChain, match="serves chain 9, SWARM_CHAIN_ID is 5"):
        await rpc.call("x")
    assert [method for _, method in asked] == ["eth_chainId"]


async def test_the_url_that_works_is_kept() -> None:
    def node(host: str, method: str) -> Any:
        if host == "one":
            return httpx.ConnectError("refused")
        return None if method == "eth_chainId" else {"result": host}

    rpc, asked = rpc_of(node, "http://one", "http://two")
    assert await rpc.call("x") == "two"
    assert await rpc.call("x") == "two"
    assert [host for host, _ in asked].count("one") == 1


async def test_a_url_of_another_chain_gives_way_but_is_told_when_nothing_else_works() -> None:
    def node(host: str, method: str) -> Any:
        if host == "one":
            return {"result": "0x9"}
        return httpx.ConnectError("refused")

    rpc, _ = rpc_of(node, "http://one", "http://two")
    with pytest.raises(WrongChain):
        await rpc.call("x")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.Response(503),
        httpx.Response(429),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"id": "other"}),
        {"error": {"code": -32005, "message": "limit exceeded"}},
    ],
    ids=repr,
)
async def test_outages(answer: Any) -> None:
    rpc, _ = rpc_of(lambda host, method: None if method == "eth_chainId" else answer)
    with pytest.raises(Unavailable) as told:
        await rpc.call("x")
    assert not isinstance(told.value, RpcRefused)


async def test_a_silent_node_is_given_up_in_time() -> None:
    rpc, _ = rpc_of(lambda host, method: None if method == "eth_chainId" else 30.0, seconds=0.2)
    started = asyncio.get_running_loop().time()
    with pytest.raises(Unavailable):
        await rpc.call("x")
    assert asyncio.get_running_loop().time() - started < 2


async def test_a_refusal_is_not_asked_of_the_next_url() -> None:
    refusal = {"error": {"code": -32000, "message": "nonce too low"}}
    rpc, asked = rpc_of(lambda host, method: None if method == "eth_chainId" else refusal, "http://one", "http://two")
    with pytest.raises(RpcRefused) as told:
        await rpc.call("eth_sendRawTransaction", "0x")
    assert told.value.reason == "nonce_too_low"
    assert {host for host, _ in asked} == {"one"}


async def test_reverts_are_named() -> None:
    data = "0x" + selector("InvalidVote()").hex()
    rpc, _ = rpc_of(
        lambda host, method: (
            None if method == "eth_chainId" else {"error": {"code": 3, "message": "execution reverted", "data": data}}
        )
    )
    with pytest.raises(ContractError) as told:
        await rpc.call("eth_call")
    assert told.value.name == "InvalidVote"


async def test_secrets_in_a_url_do_not_reach_messages() -> None:
    rpc, _ = rpc_of(lambda host, method: httpx.ConnectError("refused"), "http://user:pass@one:81/key?token=1")
    with pytest.raises(Unavailable) as told:
        await rpc.call("x")
    assert "http://one:81" in str(told.value)
    assert not any(secret in str(told.value) for secret in ("user", "pass", "key", "token"))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("already known", "already_known"),
        ("transaction already imported", "already_known"),
        ("Nonce too low: next nonce 3", "nonce_too_low"),
        ("replacement transaction underpriced", "underpriced"),
        ("max fee per gas less than block base fee", "underpriced"),
        ("Insufficient funds for gas * price + value", "insufficient_funds"),
        ("something new", "other"),
    ],
)
def test_messages_of_different_nodes_become_one_word(message: str, reason: str) -> None:
    assert RpcRefused(-32000, message).reason == reason


@pytest.mark.parametrize(
    "answer",
    [
        {"error": "a text where an object belongs"},
        {"error": {"code": None, "message": "no number"}},
        {"error": {"code": 3, "message": "execution reverted", "data": "0xnothex"}},
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(200, json=[1, 2]),
        httpx.DecodingError("not gzip"),
    ],
    ids=repr,
)
async def test_nonsense_is_an_outage_and_no_crash(answer: Any) -> None:
    rpc, _ = rpc_of(lambda host, method: None if method == "eth_chainId" else answer)
    with pytest.raises(Unavailable):
        await rpc.call("x")


@pytest.mark.parametrize("result", [None, 7, "0xzz", {}, []], ids=repr)
async def test_results_of_another_kind_are_outages_to_every_reader(result: Any) -> None:
    transport = rpc_of(lambda host, method: None if method == "eth_chainId" else {"result": result})[0]._http._transport
    settings = ChainSettings(chain_id=5, coordinator="0x" + "1" * 40)
    async with ChainClient(settings, transport=transport) as client:
        for read in (
            client.round_and_stage(), client.owners(["Qm"]), client.block(), client.nonce("0x"), client.balance("0x"),
            client.fees(), client.estimate_gas("0x", b""), client.simulate("0x", b""),
        ):  # fmt: skip
            with pytest.raises(Unavailable):
                await read
        if result is not None:
            with pytest.raises(Unavailable):
                await client.block_hash(1)


async def test_fewer_answers_than_questions_are_no_coordinator_of_ours() -> None:
    for signature, kind in (("owners", "address[]"), ("total_rewards", "int256[]")):
        result = "0x" + eth_abi.encode([kind], [[]]).hex()
        transport = rpc_of(lambda host, method, r=result: None if method == "eth_chainId" else {"result": r})[0]
        settings = ChainSettings(chain_id=5, coordinator="0x" + "1" * 40)
        async with ChainClient(settings, transport=transport._http._transport) as client:
            with pytest.raises(WrongContract):
                await getattr(client, signature)(["Qm"])


async def test_probes_ask_for_chain_id_and_block_only_and_show_no_key() -> None:
    def node(host: str, method: str) -> Any:
        if host == "down":
            return httpx.ConnectError("refused")
        if method == "eth_chainId":
            return {"result": "0x7"} if host == "other" else None
        return {"result": "0x10"}

    urls = ("http://one/key-1", "http://down", "http://other")
    rpc, asked = rpc_of(node, *urls)
    probes = await rpc.probe()
    assert [(probe.url, probe.block) for probe in probes] == [
        ("http://one", 16),
        ("http://down", None),
        ("http://other", None),
    ]
    assert "refused" in probes[1].problem
    assert "serves chain 7" in probes[2].problem
    assert {method for _, method in asked} == {"eth_chainId", "eth_blockNumber"}
    assert "key-1" not in str(probes)


async def test_the_first_node_that_works_and_keeps_up_is_preferred_again() -> None:
    blocks = {"one": 100, "two": 100}

    def node(host: str, method: str) -> Any:
        if blocks[host] < 0:
            return httpx.ConnectError("refused")
        return (
            None if method == "eth_chainId" else {"result": hex(blocks[host]) if method == "eth_blockNumber" else host}
        )

    rpc, asked = rpc_of(node, "http://one", "http://two")
    blocks["one"] = -1
    assert await rpc.call("x") == "two"
    blocks["one"] = 100
    assert await rpc.call("x") == "two", "what works is kept"
    for block, preferred in ((97, "one"), (96, "two"), (-1, "two"), (100, "one")):
        blocks["one"] = block
        await rpc.prefer_healthy()
        assert await rpc.call("x") == preferred, block
    blocks.update(one=-1, two=-1)
    await rpc.prefer_healthy()  # nobody answers: nothing to prefer
    alone, asked = rpc_of(node, "http://one")
    await alone.prefer_healthy()
    assert asked == []
