"""Puts coordinator and market on a chain and keeps them as configured: code, proxy, roles, limits.

Works with `wallet` for the owner's transactions. Each step looks at the chain first, so repeating one changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

from eth_abi.abi import encode

from swarm_chain import abi, artifacts, calls
from swarm_chain.client import ChainClient
from swarm_chain.deployment import Deployment
from swarm_chain.errors import WrongContract
from swarm_chain.records import Receipt
from swarm_chain.wallet import Wallet
from swarm_core.log import get_logger

# keccak256("eip1967.proxy.implementation") - 1
IMPLEMENTATION_SLOT = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"


async def genesis_hash(client: ChainClient) -> str:
    """Hash of block 0; raises WrongContract on a chain without one."""
    found = await client.block_hash(0)
    if found is None:
        raise WrongContract("The chain has no genesis block.")
    return found


async def deploy(client: ChainClient, owner: Wallet) -> Deployment:
    """Create implementation and proxy; the proxy's constructor initialises it for `owner`."""
    coordinator = artifacts.load("SwarmCoordinator")
    implementation = _created(await owner.send_to(None, coordinator.bytecode))
    arguments = encode(["address", "bytes"], [implementation, calls.initialize(owner.address)])
    receipt = await owner.send_to(None, artifacts.load("ERC1967Proxy").bytecode + arguments)
    deployment = Deployment(
        chain_id=client.chain_id,
        genesis_hash=await genesis_hash(client),
        coordinator=_created(receipt),
        block=receipt.block,
        implementation=implementation,
        code_sha256=coordinator.digest,
    )
    get_logger("deploy").info("coordinator deployed", address=deployment.coordinator, block=deployment.block)
    return deployment


async def implementation_of(client: ChainClient, proxy: str) -> str:
    """Address of the code behind an ERC-1967 proxy, zero if it is no such proxy."""
    word = str(await client.rpc.call("eth_getStorageAt", proxy, IMPLEMENTATION_SLOT, "latest"))
    return "0x" + word.removeprefix("0x").rjust(64, "0")[-40:].lower()


async def has_code(client: ChainClient, address: str) -> bool:
    """Whether a contract lives at `address`."""
    return await client.rpc.call("eth_getCode", address, "latest") not in ("0x", None)


async def upgrade(deployment: Deployment, owner: Wallet) -> Deployment:
    """Put this version's code behind the proxy; address and state stay."""
    coordinator = artifacts.load("SwarmCoordinator")
    implementation = _created(await owner.send_to(None, coordinator.bytecode))
    await owner.send_to(deployment.coordinator, calls.upgrade(implementation))
    get_logger("deploy").info("coordinator upgraded", address=deployment.coordinator, implementation=implementation)
    return replace(deployment, implementation=implementation, code_sha256=coordinator.digest)


async def deploy_market(client: ChainClient, master: Wallet, deployment: Deployment) -> Deployment:
    """Create the prediction market of this coordinator; `master` owns it. It is never replaced: claims live in it."""
    market = artifacts.load("PredictionMarket")
    arguments = encode(["address", "address"], [deployment.coordinator, master.address])
    receipt = await master.send_to(None, market.bytecode + arguments)
    address = _created(receipt)
    get_logger("deploy").info("market deployed", address=address, block=receipt.block, game_master=master.address)
    return replace(deployment, market=address, market_block=receipt.block, market_sha256=market.digest)


async def ensure_reveal_seconds(client: ChainClient, master: Wallet, market: str, seconds: int) -> None:
    """Set after how long an unfinished game is refunded, if it differs; only the market's owner may."""
    if await _read(client, market, "revealSeconds()") == seconds:
        return
    if (owner := str(await _read(client, market, "owner()")).lower()) != master.address:
        get_logger("deploy").warning("the market has another owner: its settings stay", owner=owner, market=market)
        return
    await master.send_to(market, calls.set_reveal_seconds(seconds))
    get_logger("deploy").info("reveal time of the market set", seconds=seconds)


async def ensure_role(client: ChainClient, owner: Wallet, role: str, account: str) -> None:
    """Give `account` the role if it lacks it."""
    if await client.has_role(role, account):
        return
    await owner.send(calls.grant_role(abi.role(role), account))
    get_logger("deploy").info("role granted", role=role, account=account)


async def ensure_limits(client: ChainClient, owner: Wallet, max_reward: int, round_window: int) -> None:
    """Set the bounds of rewards and reports if they differ."""
    if await client.limits() == (max_reward, round_window):
        return
    await owner.send(calls.set_limits(max_reward, round_window))
    get_logger("deploy").info("limits set", max_reward=max_reward, round_window=round_window)


async def _read(client: ChainClient, contract: str, signature: str) -> object:
    return abi.decode_result(signature, await client.simulate(contract, abi.encode_call(signature), contract))[0]


def _created(receipt: Receipt) -> str:
    if receipt.contract is None:
        raise WrongContract(f"Transaction {receipt.hash} created no contract.")
    return receipt.contract.lower()
