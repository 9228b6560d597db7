"""One word for the daemon's state, derived from what its parts see."""

from __future__ import annotations

from typing import Any

import pytest

from swarm_dht.state import derive

_READY: dict[str, Any] = {
    "generation": 1,
    "up": True,
    "attempted": True,
    "peers": 3,
    "bootnodes": 1,
    "clock_offset": 0.5,
    "reason": "",
}


@pytest.mark.parametrize(
    ("changes", "state", "says"),
    [
        ({}, "ready", ""),
        ({"attempted": False}, "ready", ""),
        ({"generation": 0, "up": False, "reason": "p2pd does not start: no"}, "starting", "does not start"),
        ({"peers": 0, "attempted": False}, "starting", ""),
        ({"peers": 0}, "isolated", "none of 1 bootnodes"),
        ({"peers": 0, "bootnodes": 0}, "isolated", "no bootnode is known"),
        ({"up": False, "reason": "p2pd exited with -9"}, "rebuilding", "exited"),
        ({"generation": 2, "peers": 0, "attempted": False}, "rebuilding", ""),
        ({"generation": 2, "peers": 0}, "isolated", "none of 1 bootnodes"),
        ({"clock_offset": 3.5}, "clock_skew", "-4 s"),
        ({"clock_offset": -60.0}, "clock_skew", "+60 s"),
        ({"clock_offset": -3.0}, "ready", ""),
        ({"clock_offset": 60.0, "peers": 0}, "isolated", "bootnodes"),
    ],
)
def test_state(changes: dict[str, Any], state: str, says: str) -> None:
    found, reason = derive(**{**_READY, **changes})
    assert found == state
    assert says in reason
    assert bool(reason) == bool(says)
