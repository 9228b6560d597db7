"""Settings of the login service. Works with `swarm_core.settings` and `swarm_chain.settings`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from login_proxy.outbox.fees import GWEI
from swarm_chain.settings import ChainSettings


def _origin(text: str) -> str:
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise ValueError("must be an origin such as https://node.example:3443, without a path")
    return f"{parts.scheme}://{parts.netloc.lower()}"


class LoginSettings(ChainSettings):
    """Who may use the page, where the keys and the outbox live, and which sockets are asked."""

    login: Literal["page", "auto"] = Field(
        "page", description="page: somebody claims the node in a browser. auto: an account is made without anybody."
    )
    access: Literal["local", "https", "domain"] = Field(
        "local",
        description="local: http on localhost. https: also TLS on 3443, own certificate. domain: behind Caddy.",
    )
    http_port: int = Field(3000, ge=1, le=65535, description="Port of the page inside the container.")
    https_port: int = Field(3443, ge=1, le=65535, description="Port of the page over TLS inside the container.")
    api_port: int = Field(3001, ge=1, le=65535, description="Port of the worker API, internal network only.")
    login_published_port: int = Field(
        3000, ge=1, le=65535, description="Port of the host under which the page is published on localhost."
    )
    https_published_port: int = Field(
        3443, ge=1, le=65535, description="Port of the host under which the page is published over TLS."
    )
    public_url: Annotated[str, AfterValidator(_origin)] | None = Field(
        None, description="Origin under which browsers reach the page, if it is not http://localhost and the port."
    )
    max_fee_gwei: float = Field(
        100.0, gt=0, le=1_000_000, description="Most that a transaction may offer for gas, in Gwei per unit of gas."
    )
    node_name: str = Field("main", pattern=r"^[a-z0-9-]{1,32}$", description="Label of this node in logs and metrics.")
    keys_dir: Path = Field(Path("/keys"), description="Volume of keys; the account lives in its folder `account`.")
    peer_keys_dir: Path = Field(Path("/peer-keys"), description="Volume of the extra peers' keys, for backups.")
    state_dir: Path = Field(Path("/state"), description="Outbox, sessions, setup token and unlock secret.")
    api_token_file: Path = Field(
        Path("/run/api-token/token"), description="Bearer token of the worker API; made at first start, then kept."
    )
    unlock_secret_file: Path | None = Field(
        None, description="File with the secret that opens the keystore; unset: one is made in the state volume."
    )
    drop_in: bool = Field(
        False, description="True lets an unmodified upstream trainer use this account, with the worker API's token."
    )
    run_dir: Path = Field(Path("/run/swarm"), description="Sockets of the node and, under peers/, of extra peers.")
    # what the page shows as decided by the environment; the workers act on it
    model: str = Field("", description="embedded, auto, a path or a hub name; empty: embedded on a CPU, auto on CUDA.")
    hub_push_steps: int = Field(0, ge=0, description="Rounds between two pushes to the Hugging Face Hub; 0: never.")
    play_market: int = Field(0, ge=0, le=1, description="1: bet on the market's games unless the page says otherwise.")
    hub_url: str = Field("https://huggingface.co", description="Where the page checks a Hub token.")
    login_run_dir: Path = Field(Path("/run/login"), description="Where login.sock is made.")

    @property
    def fee_cap(self) -> int:
        """Most wei per gas."""
        return int(self.max_fee_gwei * GWEI)

    @property
    def account_dir(self) -> Path:
        """Folder of the wallet's keystore."""
        return self.keys_dir / "account"

    def origins(self) -> tuple[str, ...]:
        """The exact origins that browsers may use."""
        ports = dict.fromkeys((self.login_published_port, self.http_port))
        local = tuple(f"http://localhost:{port}" if port != 80 else "http://localhost" for port in ports)
        return local if self.public_url is None else (self.public_url, *local)

    def https_origins(self) -> tuple[str, ...]:
        """The exact origins of the TLS listener. Without SWARM_PUBLIC_URL any https://<address> is one as well."""
        ports = dict.fromkeys((self.https_published_port, self.https_port))
        local = tuple(f"https://localhost:{port}" if port != 443 else "https://localhost" for port in ports)
        return local if self.public_url is None else (self.public_url, *local)

    @model_validator(mode="after")
    def _a_domain_has_a_name(self) -> Self:
        if self.access == "domain" and not (self.public_url or "").startswith("https://"):
            raise ValueError("SWARM_ACCESS=domain needs SWARM_PUBLIC_URL, such as https://node.example")
        return self

    def writable_directories(self) -> Iterable[Path]:
        """Probed at start."""
        return (self.account_dir, self.state_dir, self.login_run_dir, self.api_token_file.parent)
