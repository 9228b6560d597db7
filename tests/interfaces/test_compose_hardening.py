"""Every service of `docker-compose.yml` is as locked down, bounded and supervised as SECURITY.md says; networks and
volumes keep apart what must be kept apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONE_SHOTS = {"check", "deployer"}
ROOT_USERS = {"0", "root", ""}


def volumes(service: str) -> dict[str, str]:
    """Volume or path → target, of one service."""
    return dict(entry.split(":")[:2] for entry in SERVICES[service].get("volumes", []))


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_has_no_privileges_and_bounds(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].split(":")[0] not in ROOT_USERS
    assert service["mem_limit"]
    assert int(service["pids_limit"]) <= 1024
    assert any(mount.startswith("/tmp") for mount in service["tmpfs"])
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert not {"privileged", "cap_add", "pid", "ipc", "devices"} & set(service)
    assert service.get("network_mode", "none") == "none"
    assert "docker.sock" not in str(service)


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOTS))
def test_a_lasting_service_restarts_and_is_asked_how_it_is(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["healthcheck"]["interval"] == "15s"


@pytest.mark.parametrize("name", sorted(ONE_SHOTS))
def test_a_one_shot_runs_once_and_others_wait_for_its_success(name: str) -> None:
    assert SERVICES[name]["restart"] == "no"
    waiting = [s for s in SERVICES.values() if name in s.get("depends_on", {})]
    assert waiting
    assert {s["depends_on"][name]["condition"] for s in waiting} == {"service_completed_successfully"}


def test_no_dependency_ever_restarts_another_service() -> None:
    for service in SERVICES.values():
        for condition in service.get("depends_on", {}).values():
            assert set(condition) == {"condition"}


def test_keys_are_mounted_only_where_they_are_used() -> None:
    def holders(volume: str) -> set[str]:
        return {name for name in SERVICES if volume in volumes(name)}

    assert holders("keys") == {"dht", "login-proxy"}
    assert holders("role-keys") == {"deployer", "round-keeper"}
    assert holders("login-state") == {"login-proxy"}
    assert holders("peer-keys") == {"peer", "login-proxy"}
    assert holders("bootnode-keys") == {"bootnode"}
    assert holders("api-token") == {"login-proxy", "node", "peer"}
    declared = set(COMPOSE["volumes"])
    assert {source for name in SERVICES for source in volumes(name) if not source.startswith(".")} == declared


def test_the_chain_and_the_worker_api_are_never_published() -> None:
    assert {name for name, network in COMPOSE["networks"].items() if network.get("internal")} == {"api", "chain"}
    assert SERVICES["chain"]["networks"] == ["chain"]
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert not any(port.split(":")[-1].split("/")[0] in ("3001", "8545") for port in published)


def test_only_the_libp2p_port_is_open_to_the_world() -> None:
    for name, service in SERVICES.items():
        for port in service.get("ports", []):
            opened = {
                "dht": "${SWARM_P2P_BIND:-0.0.0.0}:",
                "gateway": "${SWARM_GATEWAY_BIND:-0.0.0.0}:",
                "caddy": "${SWARM_CADDY_BIND:-0.0.0.0}:",
            }
            assert port.startswith(opened.get(name, "${SWARM_BIND_ADDRESS:-127.0.0.1}:")), port
    assert SERVICES["gateway"]["profiles"] == ["host"], "only a host who asks for it opens chain and judge"
    assert SERVICES["caddy"]["profiles"] == ["caddy"]
