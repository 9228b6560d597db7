"""Our prediction market offers upstream's whole interface: names, types, indexed fields, mutability, events and errors.

`data/PredictionMarket.abi.json` is the file that upstream's trainer and login service load.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.interfaces.test_coordinator_abi import _shape

from swarm_chain import artifacts

UPSTREAM = json.loads((Path(__file__).parent / "data" / "PredictionMarket.abi.json").read_text())


def test_the_interface_to_compare_with_is_whole() -> None:
    kinds = [entry["type"] for entry in UPSTREAM]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "constructor": 1,
        "function": 17,
        "event": 6,
        "error": 2,
    }


@pytest.mark.parametrize("entry", UPSTREAM, ids=lambda entry: f"{entry['type']} {entry.get('name', '')}")
def test_every_entry_of_upstream_is_offered(entry: dict[str, Any]) -> None:
    ours = [_shape(other) for other in artifacts.load("PredictionMarket").abi]
    assert _shape(entry) in ours


def test_no_two_errors_of_our_contracts_share_a_name_with_another_meaning() -> None:
    market, coordinator = (
        {entry["name"] for entry in artifacts.load(name).abi if entry["type"] == "error"}
        for name in ("PredictionMarket", "SwarmCoordinator")
    )
    assert not market & coordinator
