"""Our coordinator offers upstream's whole interface: names, types, indexed fields, mutability, events and errors.

`data/SwarmCoordinator.abi.json` is the file that upstream's trainer and login service load.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from swarm_chain import artifacts

UPSTREAM = Path(__file__).parent / "data" / "SwarmCoordinator.abi.json"


def _types(items: list[dict[str, Any]]) -> list[tuple[str, str, bool]]:
    return [(item["name"], item["type"], bool(item.get("indexed", False))) for item in items]


def _shape(entry: dict[str, Any]) -> tuple[Any, ...]:
    """What a caller depends on. Names of results do not matter: they are read by position."""
    outputs = [item["type"] for item in entry.get("outputs", [])]
    named = _types(entry.get("inputs", []))
    return (entry["type"], entry.get("name"), named, outputs, entry.get("stateMutability"), entry.get("anonymous"))


def _upstream() -> list[dict[str, Any]]:
    raw = json.loads(UPSTREAM.read_text())
    entries: list[dict[str, Any]] = raw if isinstance(raw, list) else raw["abi"]
    return [entry for entry in entries if entry["type"] in ("function", "event", "error")]


def test_the_interface_to_compare_with_is_whole() -> None:
    kinds = [entry["type"] for entry in _upstream()]
    assert (kinds.count("function"), kinds.count("event"), kinds.count("error")) == (35, 13, 20)


@pytest.mark.parametrize("entry", _upstream(), ids=lambda entry: f"{entry['type']} {entry['name']}")
def test_every_entry_of_upstream_is_offered(entry: dict[str, Any]) -> None:
    ours = [_shape(other) for other in artifacts.load("SwarmCoordinator").abi]
    assert _shape(entry) in ours


@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("submitReward", ["uint256", "uint256", "uint256", "string"]),
        ("hasSubmittedRoundStageReward", ["uint256", "uint256", "string"]),
    ],
)
def test_the_overloads_of_the_deployed_version_are_offered(name: str, inputs: list[str]) -> None:
    ours = [
        [item["type"] for item in entry["inputs"]]
        for entry in artifacts.load("SwarmCoordinator").abi
        if entry["type"] == "function" and entry["name"] == name
    ]
    assert inputs in ours
