"""`swarm-deploy`: makes the role keys, the coordinator and its market once, writes `deployment.json`, and ends.

Started again it verifies what is there and changes nothing. On a chain that was reset (another genesis) or that lost
the contract it deploys anew and keeps the old file beside as `deployment-<first 8 digits of its genesis>.json`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from swarm_chain import artifacts, contract
from swarm_chain.client import ChainClient
from swarm_chain.deployment import Deployment, read_deployment, write_deployment
from swarm_chain.errors import ContractError, NoDeployment, RpcRefused, WrongChain, WrongContract
from swarm_chain.role_keys import CONTRACT_ROLE, MARKET_ROLES, ROLES, ensure_keys, load_key
from swarm_chain.settings import ChainSettings
from swarm_chain.wallet import Wallet
from swarm_core.errors import ConfigError, FatalError, Unavailable
from swarm_core.files import exclusive_lock, write_json
from swarm_core.log import get_logger
from swarm_core.runner import Service, run

_RPC_WAIT_SECONDS = 90.0
_RPC_POLL_SECONDS = 0.5
_GENESIS_DIGITS = 8


class DeploySettings(ChainSettings):
    """What is deployed and where its keys lie."""

    role_keys_dir: Path = Field(Path("/role-keys"), description="Keys of owner, stage manager and bootnode manager.")
    reward_limit: int = Field(1_000_000, ge=1, lt=2**127, description="Largest absolute value of one reward on chain.")
    report_window_rounds: int = Field(
        604_800, ge=1, lt=2**63, description="How many past rounds still accept rewards and votes."
    )

    judge_keys_dir: Path = Field(Path("/judge-keys"), description="Key of the game master, who owns the market.")
    market_reveal_seconds: int = Field(
        86_400, ge=10, le=2_592_000, description="A game without a next round or an answer for this long is refunded."
    )

    def writable_directories(self) -> Iterable[Path]:
        """Where keys and the deployment are written; nothing when the coordinator is somebody else's."""
        return (
            ()
            if self.coordinator is not None
            else (
                self.role_keys_dir,
                self.judge_keys_dir,
                self.deployment_file.parent,
            )
        )


async def ensure_deployed(client: ChainClient, settings: DeploySettings) -> Deployment:
    """The coordinator as configured, deployed if it is not there. Makes missing role keys first."""
    log = get_logger("deploy")
    if created := ensure_keys(settings.role_keys_dir):
        log.info("role keys made", directory=settings.role_keys_dir, roles=",".join(created))
    if created := ensure_keys(settings.judge_keys_dir, MARKET_ROLES):
        log.info("role keys made", directory=settings.judge_keys_dir, roles=",".join(created))
    wallets = {role: Wallet(client, load_key(settings.role_keys_dir, role)) for role in ROLES}
    owner = wallets["owner"]
    known = await _usable_deployment(client, settings)
    deployment = known or await contract.deploy(client, owner)
    if known is not None and known.code_sha256 != artifacts.load("SwarmCoordinator").digest:
        deployment = await contract.upgrade(known, owner)
    if deployment != known:
        write_deployment(settings.deployment_file, deployment)
    master = Wallet(client, load_key(settings.judge_keys_dir, "game-master"))
    if not deployment.market or not await contract.has_code(client, deployment.market):
        deployment = await contract.deploy_market(client, master, deployment)
        write_deployment(settings.deployment_file, deployment)
    await client.preflight()
    for role, wallet in wallets.items():
        await contract.ensure_role(client, owner, CONTRACT_ROLE[role], wallet.address)
    await contract.ensure_limits(client, owner, settings.reward_limit, settings.report_window_rounds)
    await contract.ensure_reveal_seconds(client, master, deployment.market, settings.market_reveal_seconds)
    return deployment


async def _usable_deployment(client: ChainClient, settings: DeploySettings) -> Deployment | None:
    """The deployment of the file if it is still on this chain; an outdated file is put aside, not lost."""
    try:
        known = read_deployment(settings.deployment_file)
    except NoDeployment:
        return None
    genesis = await contract.genesis_hash(client)
    if known.chain_id != client.chain_id or known.genesis_hash != genesis:
        reason = "the chain was reset"
    elif not await contract.has_code(client, known.coordinator):
        reason = "the chain lost the contract"
    elif await contract.implementation_of(client, known.coordinator) != known.implementation:
        raise WrongContract(f"The code behind {known.coordinator} is not what {settings.deployment_file} names.")
    else:
        return known
    aside = settings.deployment_file.with_name(f"deployment-{known.genesis_hash[2 : 2 + _GENESIS_DIGITS]}.json")
    write_json(aside, asdict(known), mode=0o644)
    get_logger("deploy").warning(
        "deploying anew", reason=reason, old_genesis=known.genesis_hash, genesis=genesis, old_deployment=aside
    )
    return None


async def wait_for_rpc(client: ChainClient, seconds: float) -> None:
    """Poll until the chain answers. Raises Unavailable with the last reason."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while True:
        try:
            await client.block()
        except Unavailable:
            if loop.time() + _RPC_POLL_SECONDS > end:
                raise
            await asyncio.sleep(_RPC_POLL_SECONDS)
        else:
            return


async def deploy(settings: DeploySettings, *, rpc_wait_seconds: float = _RPC_WAIT_SECONDS) -> None:
    """The whole command. Raises FatalError with one sentence and its remedy."""
    log = get_logger("deploy")
    client = ChainClient(settings)
    try:
        await wait_for_rpc(client, rpc_wait_seconds)
        if settings.coordinator is not None:
            await client.preflight()
            log.info("SWARM_COORDINATOR is set: nothing to deploy", address=settings.coordinator)
            return
        with exclusive_lock(settings.role_keys_dir / ".lock"):
            deployment = await ensure_deployed(client, settings)
        log.info("coordinator ready", address=deployment.coordinator, chain_id=deployment.chain_id)
    except (WrongChain, WrongContract) as error:
        raise ConfigError(str(error), "see docs/chain.md") from error
    except (ContractError, RpcRefused) as error:
        raise FatalError(f"The chain refused the deployment: {error}.", "see docs/chain.md, role keys") from error
    except Unavailable as error:
        raise FatalError(str(error), "start the chain or correct SWARM_RPC_URL") from error
    finally:
        await client.close()


async def _main(service: Service, settings: DeploySettings) -> None:
    await deploy(settings)
    service.stop.set()


def main() -> None:
    """Console script `swarm-deploy`."""
    run("swarm-deploy", DeploySettings, _main)
