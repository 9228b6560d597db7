"""Settings of `swarm-gateway`."""

from __future__ import annotations

from pydantic import Field

from swarm_chain.settings import ChainSettings


class GatewaySettings(ChainSettings):
    """Where it listens, what stands behind it, and how much one address may ask."""

    gateway_port: int = Field(8645, ge=1, le=65535, description="Port of the gateway inside the container.")
    gateway_reads: float = Field(20.0, gt=0, description="Chain and judge requests a second of one address.")
    gateway_writes: float = Field(1.0, gt=0, description="Transactions a second of one address.")
    judge_url: str = Field("http://judge:8100", description="Judge behind the gateway, and what the worker asks.")
