"""A second Compose project on other Docker networks, given nothing but the host's `join.env`, is in the swarm within
three minutes: its node trains with groups of the host's and the host's with its, it is registered and paid on the
host's chain; what is not in the gateway's list is refused and changes nothing. Follows docs/hosting.md to the letter.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from eth_account import Account
from tests.e2e.conftest import _stack, clone, images
from tests.e2e.stack import Stack, wait_until
from tests.support.ports import free_port

from swarm_chain.client import ChainClient
from swarm_chain.settings import ChainSettings

__all__ = ["clone", "images"]

JOIN_SECONDS = 180
# with a project's name alone, Compose stops by labels, and misses the services that have no replicas here
WITH_FILE = ("--file", "docker-compose.yml")
pytestmark = pytest.mark.timeout(900)
TO_STRANGER = "0x" + "11" * 20
# what would give a stranger the chain, its disk or other people's accounts
FORBIDDEN: list[tuple[str, list[Any]]] = [
    ("anvil_setBalance", [TO_STRANGER, "0xffff"]),
    ("anvil_impersonateAccount", [TO_STRANGER]),
    ("anvil_mine", ["0x10"]),
    ("anvil_reset", []),
    ("anvil_dumpState", []),
    ("hardhat_setCode", [TO_STRANGER, "0x00"]),
    ("evm_mine", []),
    ("evm_snapshot", []),
    ("evm_increaseTime", [3600]),
    ("debug_traceTransaction", ["0x" + "00" * 32]),
    ("trace_block", ["latest"]),
    ("txpool_content", []),
    ("personal_listAccounts", []),
    ("eth_accounts", []),
    ("eth_sendTransaction", [{"from": TO_STRANGER, "to": TO_STRANGER, "value": "0x0"}]),
    ("eth_sign", [TO_STRANGER, "0x00"]),
    ("eth_getLogs", [{"fromBlock": "0x0", "toBlock": "latest"}]),
    ("eth_newFilter", [{}]),
    ("eth_getBlockByNumber", ["latest", True]),
    ("eth_call", [{"to": TO_STRANGER, "data": "0x"}, "latest", {TO_STRANGER: {"code": "0x00"}}]),
    ("eth_call", [{"to": "0x" + "00" * 19 + "05", "data": "0x00"}, "latest"]),
    ("eth_estimateGas", [{"to": TO_STRANGER, "data": "0x"}]),
    ("web3_clientVersion", []),
    ("rpc_modules", []),
    ("admin_nodeInfo", []),
]


@dataclass
class Host:
    """A host's stack, and where strangers find it."""

    stack: Stack
    address: str
    gateway_port: int
    join_env: str

    def gateway(self, path: str = "/") -> str:
        """A URL at the gateway, by the address that strangers use."""
        return f"http://{self.address}:{self.gateway_port}{path}"

    def rpc(self, method: str, params: list[Any]) -> dict[str, Any]:
        """The gateway's answer to one call, waiting as long as it asks to."""
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        end = time.monotonic() + 60
        while True:
            answer = httpx.post(self.gateway(), json=body, timeout=20, trust_env=False)
            if answer.status_code != 429 or time.monotonic() > end:
                return dict(answer.json())
            time.sleep(float(answer.headers["retry-after"]))


@pytest.fixture(scope="module")
def host(clone: Path, images: None, request: pytest.FixtureRequest) -> Iterator[Host]:
    """`docker compose --profile host up`, then `make join-env HOST=...`."""
    port = free_port()
    settings = {"SWARM_GATEWAY_PUBLISHED_PORT": str(port), "SWARM_LOGIN": "auto", "SWARM_LOCAL_PEERS": "0"}
    for stack in _stack(clone, "host", request, **settings):
        # other projects' networks reach this machine by it, as other machines do by its public address
        address = str(stack.docker.networks.get("bridge").attrs["IPAM"]["Config"][0]["Gateway"])
        stack.settings["SWARM_ANNOUNCE"] = f"/ip4/{address}/tcp/{stack.ports['SWARM_P2P_PORT']}"
        stack.compose("--profile", "host", "up", "--detach", "--wait", seconds=240)
        environment = stack.environment(COMPOSE_PROJECT_NAME=stack.project)
        ended = subprocess.run(
            ["make", "--silent", "join-env", f"HOST={address}"], cwd=clone, env=environment, timeout=60, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        yield Host(stack, address, port, ended.stdout)


@dataclass
class Guest:
    """The stack of whoever got join.env, and when they brought it up."""

    stack: Stack
    began: float


@pytest.fixture(scope="module")
def guest(
    host: Host, clone: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Guest]:
    """Another clone with join.env as its .env, brought up; only the ports differ, because it is the same machine."""
    folder = tmp_path_factory.mktemp("guest") / "rl-swarm"
    shutil.copytree(clone, folder)
    (folder / ".env").write_text(host.join_env)
    for stack in _stack(folder, "guest", request):
        began = time.monotonic()
        try:
            stack.up(seconds=JOIN_SECONDS)
            yield Guest(stack, began)
        finally:
            stack.compose(*WITH_FILE, "--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "3")


def peer_of(stack: Stack) -> str:
    """Peer id of the main node."""
    return str(stack.get("dht")["peer_id"])


async def on_chain(host: Host, peer: str) -> tuple[str | None, int]:
    """Owner and total reward of `peer` on the host's chain, read by the gateway as any stranger can."""
    coordinator = next(line for line in host.join_env.splitlines() if line.startswith("SWARM_COORDINATOR="))
    settings = ChainSettings(rpc_url=host.gateway(), coordinator=coordinator.partition("=")[2])
    async with ChainClient(settings) as chain:
        return (await chain.owners([peer]))[0], (await chain.total_rewards([peer]))[0]


def trained_with(stack: Stack, peer: str) -> bool:
    """Whether the node of `stack` used a group of `peer` in a training step."""
    return any(used["peer"] == peer for record in stack.history("node") for used in record["external"])


def test_joins_trains_is_registered_and_paid_within_three_minutes(host: Host, guest: Guest) -> None:
    stack = guest.stack
    theirs, ours = peer_of(stack), peer_of(host.stack)
    assert theirs != ours
    assert not {"chain", "deployer", "round-keeper", "bootnode", "judge"} & set(stack.services())

    def left() -> float:
        return max(1.0, guest.began + JOIN_SECONDS - time.monotonic())

    def paid() -> bool:
        owner, reward = asyncio.run(on_chain(host, theirs))
        return owner is not None and reward > 0

    wait_until("the guest's daemon is in the swarm", left(), lambda: stack.get("dht")["state"] == "ready")
    wait_until("the guest trains with the host's groups", left(), lambda: trained_with(stack, ours))
    wait_until("the host trains with the guest's groups", left(), lambda: trained_with(host.stack, theirs))
    wait_until("the guest is registered and paid on the host's chain", left(), paid, every=2.0)
    print("joined, trained, registered and paid", round(time.monotonic() - guest.began, 1), "s after `up`")
    networks = [set(found.container("dht").attrs["NetworkSettings"]["Networks"]) for found in (stack, host.stack)]
    assert not networks[0] & networks[1]


def test_the_judge_asks_the_guest_by_the_gateway(host: Host, guest: Guest) -> None:
    def asked() -> bool:
        code = (
            "import urllib.request\n"
            "print(urllib.request.urlopen('http://127.0.0.1:8100/leaderboard', timeout=10).read().decode())"
        )
        rows = json.loads(host.stack.run_in("judge", code))["rows"]
        return any(row["peer_id"] == peer_of(guest.stack) and row["signed"] for row in rows)

    wait_until("the guest is on the host's leaderboard", JOIN_SECONDS, asked, every=2.0)


def test_the_gateway_answers_nothing_outside_its_list(host: Host) -> None:
    for method, params in FORBIDDEN:
        answer = host.rpc(method, params)
        assert "result" not in answer, (method, answer)
        assert answer["error"]["code"] in (-32601, -32602), (method, answer)
    assert host.rpc("eth_getBalance", [TO_STRANGER, "latest"])["result"] == "0x0"
    for path in ("/judge/leaderboard", "/judge/games", "/judge/metrics", "/judge/../metrics", "/metrics", "/docs",
                 "/openapi.json", "/v1/status", "/judge/openapi.json", "/judge/%2e%2e/healthz"):  # fmt: skip
        assert httpx.get(host.gateway(path), timeout=10, trust_env=False).status_code in (404, 405), path


def test_transactions_to_others_and_new_contracts_are_refused(host: Host) -> None:
    account, chain_id = Account.create(), int(host.rpc("eth_chainId", [])["result"], 16)
    fields = {"nonce": 0, "gas": 100_000, "gasPrice": 0, "value": 0, "chainId": chain_id}
    for more in ({"to": TO_STRANGER}, {"to": TO_STRANGER, "data": "0x00"}, {"data": "0x6001600155"}):
        signed = account.sign_transaction({**fields, **more})
        answer = host.rpc("eth_sendRawTransaction", ["0x" + signed.raw_transaction.hex().removeprefix("0x")])
        assert "result" not in answer, answer
    assert host.rpc("eth_getTransactionCount", [account.address, "pending"])["result"] == "0x0"


def test_only_gateway_and_libp2p_are_open_to_others(host: Host) -> None:
    """The development chain and the judge publish no port; page and metrics listen on this machine only."""
    opened = {}
    for service in host.stack.services():
        published = host.stack.container(service).attrs["NetworkSettings"]["Ports"]
        opened[service] = {binding["HostIp"] for bindings in published.values() for binding in bindings or ()}
    outside = {service for service, addresses in opened.items() if addresses - {"127.0.0.1"}}
    assert outside == {"gateway", "dht"}, opened
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://{host.address}:8545", timeout=3, trust_env=False)


def test_the_guest_stops_and_comes_back_as_the_same_peer(guest: Guest) -> None:
    """`docker compose down` and `up`, as any operator does; the volumes stay."""
    peer = peer_of(guest.stack)
    guest.stack.compose(*WITH_FILE, "down", "--timeout", "10")
    assert guest.stack.services() == []
    guest.stack.up(seconds=JOIN_SECONDS)
    assert peer_of(guest.stack) == peer
