"""Settings of everything that talks to the chain; other processes inherit from `ChainSettings`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from swarm_core.settings import SwarmSettings

DEFAULT_CHAIN_ID = 53855
_ADDRESS_DIGITS = 40


def _urls(text: str) -> str:
    urls = [part.strip() for part in text.split(",") if part.strip()]
    if not urls:
        raise ValueError("give at least one http:// or https:// address")
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or (parts.port or 1) < 1:
            raise ValueError(f"{url!r} must be http:// or https://, a host and optionally a port")
    return ",".join(urls)


def _address(text: str) -> str:
    digits = text.strip().lower().removeprefix("0x")
    if len(digits) != _ADDRESS_DIGITS or any(character not in "0123456789abcdef" for character in digits):
        raise ValueError("must be a contract address, 0x and 40 hexadecimal digits")
    return f"0x{digits}"


class ChainSettings(SwarmSettings):
    """Which chain, by which RPC, and which contracts on it."""

    rpc_url: Annotated[str, AfterValidator(_urls)] = Field(
        "http://chain:8545", description="JSON-RPC address; several, separated by commas, stand in for one another."
    )
    chain_id: int = Field(DEFAULT_CHAIN_ID, ge=1, lt=2**63, description="Chain id that the RPC must answer.")
    coordinator: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="Address of SwarmCoordinator; unset, it is read from the deployment file."
    )
    market: Annotated[str, AfterValidator(_address)] | None = Field(
        None, description="Address of PredictionMarket; unset, it is read from the deployment file if that names one."
    )
    deployment_file: Path = Field(
        Path("/deployment/deployment.json"), description="Where swarm-deploy writes what it deployed."
    )

    def rpc_urls(self) -> list[str]:
        """The RPC addresses in order of preference."""
        return self.rpc_url.split(",")
