"""`deployment.json`: which contracts live where. Written by swarm-deploy, read by everybody else."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from swarm_chain.errors import NoDeployment
from swarm_core.errors import ConfigError
from swarm_core.files import read_json, write_json

SCHEMA = 1


@dataclass(frozen=True)
class Deployment:
    """One deployed coordinator, and the prediction market beside it.

    `coordinator` is the proxy's address, `block` the block of its creation, `implementation` and `code_sha256` (of
    the creation bytecode) the code behind it. `market` is empty where no market was deployed, `market_block` the
    block of its creation and `market_sha256` its code.
    """

    chain_id: int
    genesis_hash: str
    coordinator: str
    block: int
    implementation: str = ""
    code_sha256: str = ""
    market: str = ""
    market_block: int = 0
    market_sha256: str = ""
    schema: int = SCHEMA


def read_deployment(path: Path) -> Deployment:
    """Raises NoDeployment if there is no file, ConfigError if it is not a deployment."""
    try:
        raw = read_json(path, max_bytes=65536)
        if raw is None:
            raise NoDeployment(f"{path} does not exist yet; swarm-deploy writes it once the chain answers.")
        if raw["schema"] != SCHEMA:
            raise ConfigError(
                f"{path} has schema {raw['schema']}, this version reads {SCHEMA}.", "use matching versions"
            )
        return Deployment(
            chain_id=int(raw["chain_id"]),
            genesis_hash=str(raw["genesis_hash"]),
            coordinator=str(raw["coordinator"]),
            block=int(raw["block"]),
            implementation=str(raw["implementation"]),
            code_sha256=str(raw["code_sha256"]),
            # versions before the market wrote none
            market=str(raw.get("market", "")),
            market_block=int(raw.get("market_block", 0)),
            market_sha256=str(raw.get("market_sha256", "")),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not a readable deployment ({type(error).__name__}: {error}).",
            "delete it and start swarm-deploy again",
        ) from error


def write_deployment(path: Path, deployment: Deployment) -> None:
    """Atomic, world readable."""
    write_json(path, asdict(deployment), mode=0o644)
