"""Settings of the exporter."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from swarm_chain.settings import ChainSettings


class ExporterSettings(ChainSettings):
    """Where to listen, whose sockets to read, how long a reading is good for."""

    exporter_host: str = Field("0.0.0.0", description="Address on which /metrics is served.")  # noqa: S104
    exporter_port: int = Field(9108, ge=1, le=65535, description="Port on which /metrics is served.")
    node_name: str = Field("main", pattern=r"^[a-z0-9-]{1,32}$", description="Label of this node in logs and metrics.")
    run_dir: Path = Field(Path("/run/swarm"), description="Directory of the sockets of worker and daemon.")
    login_run_dir: Path = Field(Path("/run/login"), description="Directory of the login service's status socket.")
    exporter_cache_seconds: float = Field(2.0, ge=0, le=60, description="Scrapes closer together get the same answer.")
    exporter_chain_seconds: float = Field(5.0, ge=2, le=600, description="The chain is read at most this often.")
    exporter_forget_seconds: float = Field(
        600.0, ge=10, description="An extra peer that did not answer for so long leaves the metrics."
    )
