"""swarm-deploy: once, idempotent, loud. A chain that was reset or lost the contract gets a new deployment."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.chains import Anvil, LocalChain, deploy_settings
from tests.support.ports import free_port

from swarm_chain import artifacts, contract
from swarm_chain.deploy import DeploySettings, deploy
from swarm_chain.deployment import read_deployment, write_deployment
from swarm_chain.role_keys import CONTRACT_ROLE, ROLES, key_path
from swarm_core.errors import ConfigError, FatalError

SERVICES = Path(__file__).parents[3] / "services"


def command(settings: DeploySettings, **changes: str) -> subprocess.CompletedProcess[str]:
    """The console script as a process."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SERVICES),
        "SWARM_RPC_URL": settings.rpc_url,
        "SWARM_ROLE_KEYS_DIR": str(settings.role_keys_dir),
        "SWARM_JUDGE_KEYS_DIR": str(settings.judge_keys_dir),
        "SWARM_DEPLOYMENT_FILE": str(settings.deployment_file),
        **changes,
    }
    return subprocess.run(
        [sys.executable, "-c", "from swarm_chain.deploy import main; main()"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def test_the_command_deploys_once_and_then_changes_nothing(anvil: Anvil, tmp_path: Path) -> None:
    settings = deploy_settings(anvil.url, tmp_path)
    first = command(settings)
    assert (first.returncode, first.stdout) == (0, ""), first.stderr
    chain = LocalChain(anvil, tmp_path, settings)
    async with chain.client() as client:
        head = await client.block()
        for role in ROLES:
            assert await client.has_role(CONTRACT_ROLE[role], chain.role(client, role).address)
        files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        assert command(settings).returncode == 0
        assert await client.block() == head
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == files


def test_keys_are_private_different_and_the_deployment_is_readable_by_all(chain: LocalChain) -> None:
    keys = {key_path(chain.role_keys, role).read_bytes() for role in ROLES}
    assert len(keys) == len(ROLES)
    assert {key_path(chain.role_keys, role).stat().st_mode & 0o777 for role in ROLES} == {0o600}
    assert chain.deployment_file.stat().st_mode & 0o777 == 0o644
    for role in ROLES:
        assert key_path(chain.role_keys, role).read_text().strip() not in chain.deployment_file.read_text()


async def test_a_reset_chain_gets_a_new_deployment_and_the_old_file_is_kept(anvil: Anvil, chain: LocalChain) -> None:
    old = read_deployment(chain.deployment_file)
    keys = {role: key_path(chain.role_keys, role).read_bytes() for role in ROLES}
    anvil.stop(kill=True)
    anvil.start()
    await deploy(chain.settings)
    new = read_deployment(chain.deployment_file)
    assert new.genesis_hash != old.genesis_hash
    aside = chain.deployment_file.with_name(f"deployment-{old.genesis_hash[2:10]}.json")
    assert read_deployment(aside) == old
    assert {role: key_path(chain.role_keys, role).read_bytes() for role in ROLES} == keys


async def test_changed_limits_are_set(chain: LocalChain) -> None:
    await deploy(chain.settings.model_copy(update={"reward_limit": 5, "report_window_rounds": 6}))
    async with chain.client() as client:
        assert await client.limits() == (5, 6)


async def test_another_version_of_the_code_is_put_behind_the_same_address(chain: LocalChain) -> None:
    known = read_deployment(chain.deployment_file)
    write_deployment(chain.deployment_file, dataclasses.replace(known, code_sha256="0" * 64))
    await deploy(chain.settings)
    upgraded = read_deployment(chain.deployment_file)
    assert upgraded.coordinator == known.coordinator
    assert upgraded.implementation != known.implementation
    assert upgraded.code_sha256 == artifacts.load("SwarmCoordinator").digest
    async with chain.client() as client:
        assert await contract.implementation_of(client, known.coordinator) == upgraded.implementation


def test_without_a_chain_it_ends_with_one_sentence(tmp_path: Path) -> None:
    settings = deploy_settings(f"http://127.0.0.1:{free_port()}", tmp_path)
    with pytest.raises(FatalError, match=r"cannot be reached.*Remedy: start the chain"):
        _run(deploy(settings, rpc_wait_seconds=1.0))
    assert not settings.deployment_file.exists()


def _run(work: object) -> None:
    import asyncio

    asyncio.run(work)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"SWARM_CHAIN_ID": "7"}, "SWARM_CHAIN_ID is 7"),
        ({"SWARM_CHAIN_ID": "seven"}, "SWARM_CHAIN_ID"),
        ({"SWARM_RPC_URL": "ws://chain"}, "SWARM_RPC_URL"),
        ({"SWARM_COORDINATOR": "0x" + "12" * 20}, "no contract at 0x1212"),
        ({"SWARM_COORDINATOR": "0x12"}, "SWARM_COORDINATOR"),
        ({"SWARM_ROLE_KEYS_DIR": "/proc/nowhere"}, "/proc/nowhere"),
    ],
)
def test_bad_configuration_ends_with_one_line_and_exit_78(
    anvil: Anvil, tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    ended = command(deploy_settings(anvil.url, tmp_path), **changes)
    assert ended.returncode == 78
    assert len(ended.stderr.strip().splitlines()) == 1
    assert words in ended.stderr
    assert "Remedy" in ended.stderr


async def test_a_damaged_role_key_is_not_replaced(chain: LocalChain) -> None:
    path = key_path(chain.role_keys, "owner")
    path.write_text("no key")
    with pytest.raises(ConfigError, match="restore the file"):
        await deploy(chain.settings)
    assert path.read_text() == "no key"


async def test_a_foreign_implementation_is_refused(start_anvil: Callable[[], Anvil], chain: LocalChain) -> None:
    known = read_deployment(chain.deployment_file)
    write_deployment(chain.deployment_file, dataclasses.replace(known, implementation="0x" + "11" * 20))
    with pytest.raises(ConfigError, match="is not what"):
        await deploy(chain.settings)
