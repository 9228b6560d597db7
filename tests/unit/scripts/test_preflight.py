"""What `scripts/preflight.py` says about settings before Compose starts anything: the variable and the remedy."""

from __future__ import annotations

import pytest
from scripts import preflight


def problems(**settings: str) -> list[str]:
    return list(preflight._setting_problems(settings))


def test_nothing_set_is_nothing_wrong() -> None:
    assert problems() == []


@pytest.mark.parametrize("port", ["0", "65536", "99999", "-1", "30 00", "http"])
def test_what_is_no_port_is_told_by_name(port: str) -> None:
    assert problems(SWARM_GATEWAY_PUBLISHED_PORT=port) == [
        f"SWARM_GATEWAY_PUBLISHED_PORT is {port!r}: set it to a port number from 1 to 65535."
    ]


def test_an_unknown_name_comes_with_the_nearest_known_one() -> None:
    assert problems(SWARM_ROUNDS_SECONDS="5") == [
        "SWARM_ROUNDS_SECONDS is not a known setting, did you mean SWARM_ROUND_SECONDS?"
    ]


def test_joining_needs_all_that_a_host_tells() -> None:
    said = problems(SWARM_LOCAL_SWARM="0", SWARM_RPC_URL="https://rpc.swarm.example")
    assert [line.split(" is not set")[0].split()[-1] for line in said] == ["SWARM_CHAIN_ID", "SWARM_COORDINATOR"]


@pytest.mark.parametrize(
    ("profiles", "asked"),
    [("", False), ("host", True), ("monitoring,host", True), ("hosted", False)],
)
def test_the_gateways_port_is_looked_at_where_it_is_published(
    monkeypatch: pytest.MonkeyPatch, profiles: str, asked: bool
) -> None:
    monkeypatch.setattr(preflight, "_own_ports", lambda: set[int]())
    monkeypatch.setattr(preflight, "_cannot_bind", lambda _address, port, _kind: 98 if port == 8645 else None)
    said = list(preflight._port_problems({"COMPOSE_PROFILES": profiles}))
    assert said == (
        ["Port 8645/tcp on 0.0.0.0 is in use: stop what uses it or set SWARM_GATEWAY_PUBLISHED_PORT."] if asked else []
    )


def test_an_address_of_another_machine_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "_own_ports", lambda: set[int]())
    said = list(preflight._port_problems({"SWARM_BIND_ADDRESS": "192.0.2.7", "SWARM_P2P_PORT": "99999"}))
    assert "192.0.2.7 is no address of this machine: correct SWARM_BIND_ADDRESS." in said
