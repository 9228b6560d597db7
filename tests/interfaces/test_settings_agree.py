"""Settings classes, the list of known names, `.env.example` and `docker-compose.yml` name the same variables with the
same defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_core import PydanticUndefined

from login_proxy.settings import LoginSettings
from swarm_chain.deploy import DeploySettings
from swarm_chain.keeper_settings import KeeperSettings
from swarm_chain.settings import ChainSettings
from swarm_core.check import ComposeSettings
from swarm_core.env_names import COMPOSE_NAMES, KNOWN_NAMES, PROCESS_NAMES
from swarm_core.peer_slot import PeerSettings
from swarm_core.settings import ENV_VERSION, SwarmSettings
from swarm_dht.settings import DhtSettings
from swarm_exporter.settings import ExporterSettings
from swarm_gateway.settings import GatewaySettings
from swarm_judge.settings import JudgeSettings
from swarm_node.settings import NodeSettings

ROOT = Path(__file__).resolve().parents[2]
CLASSES: tuple[type[SwarmSettings], ...] = (
    ChainSettings, ComposeSettings, DeploySettings, KeeperSettings, PeerSettings, DhtSettings, NodeSettings,
    LoginSettings, GatewaySettings, ExporterSettings, JudgeSettings,
)  # fmt: skip
# Compose decides the device by an image, so its default is the CPU where the process would look for itself
COMPOSE_DEFAULTS = {"SWARM_DEVICE": "cpu"}
# paths and ports that Compose fixes by its mounts, networks and port mappings
FIXED = frozenset(
    f"SWARM_{name}"
    for name in (
        "P2P_HOST", "HTTP_PORT", "HTTPS_PORT", "API_PORT", "EXPORTER_HOST", "EXPORTER_PORT", "LOGIN_URL", "RUN_DIR",
        "LOGIN_RUN_DIR", "KEYS_DIR", "KEY_DIR", "STATE_DIR", "PEER_KEYS_DIR", "PEER_STATE_DIR", "API_TOKEN_FILE",
        "DEPLOYMENT_FILE", "JUDGE_HOST", "JUDGE_PORT", "ROLE_KEYS_DIR", "JUDGE_KEYS_DIR", "JUDGE_STATE_DIR",
        "HUB_TOKEN_FILE", "BOOTNODE_SOCKET",
        "KEEPER_SOCKET", "GATEWAY_PORT",
    )
)  # fmt: skip


def variables() -> dict[str, set[str]]:
    """Variable → the defaults that the classes give it, as they are written in .env ('' for unset)."""
    found: dict[str, set[str]] = {}
    for settings in CLASSES:
        for name, field in settings.model_fields.items():
            default: Any = field.default
            text = "" if default is None or default is PydanticUndefined else str(default)
            found.setdefault(f"SWARM_{name.upper()}", set()).add(text)
    return found


def example() -> dict[str, str]:
    """Variable → value in .env.example, commented out or not."""
    rows = re.findall(r"^(?:# )?(SWARM_[A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a variable stands twice in .env.example"
    return dict(rows)


def compose_text() -> str:
    """All Compose files."""
    files = [ROOT / "docker-compose.yml", *sorted((ROOT / "compose").glob("*.yml"))]
    return "\n".join(file.read_text() for file in files)


def test_the_known_names_are_those_of_the_settings_classes() -> None:
    assert set(variables()) == PROCESS_NAMES


def test_one_default_for_each_variable() -> None:
    assert {name: values for name, values in variables().items() if len(values) > 1} == {}


def test_the_example_names_every_variable_with_its_default() -> None:
    assert set(example()) == KNOWN_NAMES
    expected = {name: next(iter(values)) for name, values in variables().items()} | COMPOSE_DEFAULTS
    assert {name: value for name, value in example().items() if name in PROCESS_NAMES} == expected


def test_the_example_changes_nothing_but_its_own_version() -> None:
    active = re.findall(r"^[^#\s].*$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert active == [f"SWARM_ENV_VERSION={ENV_VERSION}"]


def test_compose_interpolates_known_names_with_the_documented_defaults() -> None:
    used = re.findall(r"\$\{(SWARM_[A-Z0-9_]+)(?::?-((?:[^{}]|\$\{[^}]*\})*))?\}", compose_text())
    assert {name for name, _ in used} <= KNOWN_NAMES
    assert {name for name, _ in used} >= COMPOSE_NAMES
    documented = example()
    for name, default in used:
        plain = re.sub(r"\$\{(SWARM_[A-Z0-9_]+):-([^}]*)\}", r"\2", default)
        assert plain == documented[name], name


def test_compose_passes_on_every_setting_that_an_operator_may_change() -> None:
    passed = set(yaml.safe_load(compose_text().split("\nservices:")[0])["x-settings"])
    special = {"SWARM_DEVICE", "SWARM_BOOTNODE_ADDRESS", "SWARM_LOCAL_SWARM", "SWARM_LOCAL_PEERS"}  # at single services
    assert passed == PROCESS_NAMES - FIXED - special


@pytest.mark.parametrize("name", sorted(FIXED))
def test_compose_leaves_fixed_paths_and_ports_alone(name: str) -> None:
    assert name not in compose_text()
    assert name in PROCESS_NAMES
