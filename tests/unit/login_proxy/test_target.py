"""Which contract: the configured one, or the deployed one with its genesis."""

from __future__ import annotations

from pathlib import Path

import pytest

from login_proxy.outbox.intents import Target
from login_proxy.target import read_target
from swarm_chain.deployment import Deployment, write_deployment
from swarm_chain.errors import NoDeployment
from swarm_chain.settings import ChainSettings
from swarm_core.errors import ConfigError

ADDRESS = "0x" + "Ab" * 20


def test_the_configured_contract_needs_no_file(tmp_path: Path) -> None:
    settings = ChainSettings(chain_id=5, coordinator=ADDRESS, deployment_file=tmp_path / "none")
    assert read_target(settings) == Target(5, ADDRESS.lower())


def test_the_deployed_contract_has_its_genesis(tmp_path: Path) -> None:
    path = tmp_path / "deployment.json"
    settings = ChainSettings(chain_id=5, deployment_file=path)
    with pytest.raises(NoDeployment):
        read_target(settings)
    write_deployment(path, Deployment(5, "0xgenesis", ADDRESS, 1))
    assert read_target(settings) == Target(5, ADDRESS.lower(), "0xgenesis")
    with pytest.raises(ConfigError, match="SWARM_CHAIN_ID is 6"):
        read_target(ChainSettings(chain_id=6, deployment_file=path))
