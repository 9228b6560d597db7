"""Settings of the round keeper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from swarm_chain.settings import ChainSettings


def _addresses(text: str) -> str:
    addresses = [part.strip().rstrip("/") for part in text.split(",") if part.strip()]
    for address in addresses:
        if not address.startswith(("/dns", "/ip")) or "/p2p/" in address:
            raise ValueError(f"{address!r} must be like /dns4/name/tcp/38751, without the peer id")
    return ",".join(addresses)


class KeeperSettings(ChainSettings):
    """Pace of the rounds and where the bootnode is."""

    round_seconds: int = Field(10, ge=1, le=604_800, description="Seconds from one round to the next.")
    bootnode_address: Annotated[str, AfterValidator(_addresses)] = Field(
        "/dns4/bootnode/tcp/38751",
        description="Where others reach the bootnode (several: commas); the peer id is added.",
    )
    bootnode_socket: Path = Field(Path("/run/bootnode/dht.sock"), description="Status socket of the bootnode.")
    keeper_socket: Path = Field(Path("/run/keeper/keeper.sock"), description="Status socket of the round keeper.")
    role_keys_dir: Path = Field(Path("/role-keys"), description="Keys of owner, stage manager and bootnode manager.")

    def bootnode_addresses(self) -> list[str]:
        """The bootnode's addresses without peer id."""
        return [address for address in self.bootnode_address.split(",") if address]
