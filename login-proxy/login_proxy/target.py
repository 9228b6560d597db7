"""Which contract on which chain this node reports to: the configured one, or the one in the deployment file."""

from __future__ import annotations

from login_proxy.outbox.intents import Target
from swarm_chain.deployment import read_deployment
from swarm_chain.errors import NoDeployment
from swarm_chain.settings import ChainSettings
from swarm_core.errors import ConfigError
from swarm_core.log import get_logger
from swarm_core.runner import Service

log = get_logger("chain")
_WAIT_SECONDS = 60


def read_target(settings: ChainSettings) -> Target:
    """Raises NoDeployment while the file is not there, ConfigError if it is damaged or for another chain."""
    if settings.coordinator is not None:
        return Target(settings.chain_id, settings.coordinator, market=settings.market or "")
    deployment = read_deployment(settings.deployment_file)
    if deployment.chain_id != settings.chain_id:
        raise ConfigError(
            f"{settings.deployment_file} is for chain {deployment.chain_id}, SWARM_CHAIN_ID is {settings.chain_id}.",
            "correct SWARM_CHAIN_ID, or set SWARM_COORDINATOR for another chain",
        )
    market = settings.market or deployment.market.lower()
    return Target(deployment.chain_id, deployment.coordinator.lower(), deployment.genesis_hash, market)


async def wait_for_target(service: Service, settings: ChainSettings) -> Target | None:
    """The target once it is known; None when asked to stop meanwhile. Raises ConfigError after a minute."""
    for second in range(_WAIT_SECONDS):
        try:
            return read_target(settings)
        except NoDeployment as error:
            if second == 0:
                log.warning("waiting for the deployment", reason=str(error))
        if await service.sleep(1.0):
            return None
    raise ConfigError("No contract is known.", "set SWARM_COORDINATOR, or start swarm-deploy, which writes the file")
