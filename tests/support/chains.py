"""A real local chain for tests: anvil as a child process, role keys, a deployed coordinator."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
from tests.support.ports import free_port

from swarm_chain.client import ChainClient
from swarm_chain.deploy import DeploySettings, deploy
from swarm_chain.role_keys import MARKET_ROLES, Role, load_key
from swarm_chain.settings import ChainSettings
from swarm_chain.wallet import Wallet

IMAGE = "ghcr.io/foundry-rs/foundry:v1.7.1"
CHAIN_ID = 53855


def anvil_binary() -> Path:
    """anvil from PATH, else taken once out of the foundry image that the product runs."""
    if found := shutil.which("anvil"):
        return Path(found)
    cache = Path(os.path.expanduser("~/.cache/rl-swarm-tests"))
    binary = cache / f"anvil-{IMAGE.rpartition(':')[2]}"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as partial:
            command = ["docker", "run", "--rm", "--entrypoint", "sh", IMAGE, "-c", 'cat "$(command -v anvil)"']
            subprocess.run(command, stdout=partial, check=True, timeout=300)
        os.chmod(partial.name, 0o700)
        os.replace(partial.name, binary)
    return binary


def rpc(url: str, method: str, *params: object) -> object:
    """One JSON-RPC request to a test chain; raises httpx.HTTPError or KeyError."""
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    result: object = httpx.post(url, json=body, timeout=5.0, trust_env=False).json()["result"]
    return result


def wait_for_chain(url: str, seconds: float = 20.0) -> None:
    """Poll until the RPC answers."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            rpc(url, "eth_chainId")
            return
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)  # between two polls with a deadline


class Anvil:
    """anvil with the product's flags on a port of its own; can be killed and started again."""

    def __init__(self, binary: Path, state: Path | None = None, chain_id: int = CHAIN_ID) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        fees = ["--gas-price", "0", "--base-fee", "0"]
        self._command = [str(binary), "--port", str(self.port), "--chain-id", str(chain_id), *fees]
        self._command += ["--accounts", "0", "--quiet", "--slots-in-an-epoch", "1"]
        if state is not None:
            self._command += ["--state", str(state)]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start (again) and wait until the RPC answers."""
        # the genesis hash depends on the second of the start: two chains begun in one second would be the same chain
        began = str(int(time.time()) - secrets.randbelow(1_000_000))
        self._process = subprocess.Popen([*self._command, "--timestamp", began], stdout=subprocess.DEVNULL)
        wait_for_chain(self.url)

    def stop(self, *, kill: bool = False) -> None:
        """SIGTERM (the state is dumped) or SIGKILL."""
        process = self._process
        if process is None:
            return
        if kill:
            process.kill()
        else:
            process.terminate()
        process.wait(timeout=20)
        self._process = None


@dataclass(frozen=True)
class LocalChain:
    """A chain with a deployed coordinator.

    `directory` holds `role-keys/` and `deployment/deployment.json`; `settings` read that deployment file.
    """

    anvil: Anvil
    directory: Path
    settings: DeploySettings

    @property
    def rpc_url(self) -> str:
        """http address of the RPC."""
        return self.anvil.url

    @property
    def role_keys(self) -> Path:
        """Directory of the role keys."""
        return self.settings.role_keys_dir

    @property
    def deployment_file(self) -> Path:
        """What swarm-deploy wrote."""
        return self.settings.deployment_file

    def client(self) -> ChainClient:
        """A new client; close it."""
        return ChainClient(ChainSettings(rpc_url=self.rpc_url, deployment_file=self.deployment_file))

    def role(self, client: ChainClient, role: Role) -> Wallet:
        """The wallet of a role."""
        directory = self.settings.judge_keys_dir if role in MARKET_ROLES else self.role_keys
        return Wallet(client, load_key(directory, role))


def deploy_settings(url: str, directory: Path, chain_id: int = CHAIN_ID) -> DeploySettings:
    """Settings of swarm-deploy with all files below `directory`."""
    for name in ("role-keys", "judge-keys", "deployment"):
        (directory / name).mkdir(parents=True, exist_ok=True)
    return DeploySettings(
        rpc_url=url,
        chain_id=chain_id,
        role_keys_dir=directory / "role-keys",
        judge_keys_dir=directory / "judge-keys",
        deployment_file=directory / "deployment" / "deployment.json",
    )


def deploy_chain(anvil: Anvil, directory: Path) -> LocalChain:
    """Deploy a coordinator; from a thread or a test without a running loop."""
    settings = deploy_settings(anvil.url, directory)
    asyncio.run(deploy(settings))
    return LocalChain(anvil, directory, settings)
