"""The daemon's status becomes series, and states that need the operator become actions."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.statuses import MAIN_PEER, dht_status

from swarm_exporter.collectors.dht import DhtCollector
from swarm_exporter.nodes import Nodes
from swarm_exporter.peers import OwnPeers
from swarm_exporter.samples import Samples


async def _collect(sockets: Any, directory: Path, peers: OwnPeers, status: Any) -> Samples:
    if status is not None:
        sockets.documents[directory / "dht.sock", "/v1/status"] = status
    samples = Samples()
    assert await DhtCollector(sockets, Nodes(directory, "main", 60), peers).collect(samples) == (status is not None)
    return samples


async def test_a_ready_daemon(sockets: Any, tmp_path: Path, rendered: Any) -> None:
    peers = OwnPeers(60)
    values = rendered(await _collect(sockets, tmp_path, peers, dht_status()))
    assert peers.current() == {MAIN_PEER: "main"}
    assert values("rlswarm_component_up", node="main", component="dht") == 1
    assert values("rlswarm_dht_state", node="main", state="ready") == 1
    assert values("rlswarm_dht_state", node="main", state="isolated") == 0
    assert values("rlswarm_dht_peers", node="main") == 4
    assert values("rlswarm_dht_bootnodes", node="main", state="connected") == 1
    assert values("rlswarm_dht_bootnodes", node="main", state="not_connected") == 1
    assert values("rlswarm_dht_fetches_total", node="main", result="answered") == 30
    assert values("rlswarm_dht_served_total", node="main") == 9
    assert values("rlswarm_dht_served_peers", node="main") == 2
    assert values("rlswarm_dht_rejected_total", node="main", reason="too_large") == 1
    assert values("rlswarm_dht_bytes_total", node="main", direction="sent") == 2048
    assert values("rlswarm_dht_rebuilds_total", node="main") == 1
    assert values("rlswarm_dht_traffic_bytes_total", node="main", direction="received", kind="dht_find") == 700
    assert values("rlswarm_dht_traffic_bytes_total", node="main", direction="sent", kind="fetch") == 400
    assert values("rlswarm_dht_failed_total", node="main", reason="timeout") == 2
    assert values("rlswarm_dht_refused_total", node="main", reason="rate") == 3
    assert values("rlswarm_dht_fetch_seconds", node="main", quantile="0.9") == 0.05
    assert values("rlswarm_dht_reachability", node="main", state="private") == 1
    assert values("rlswarm_dht_reachability", node="main", state="public") == 0
    assert values("rlswarm_dht_guests", node="main", kind="known") == 2
    assert values("rlswarm_dht_deposits_total", node="main", result="taken") == 6
    assert values("rlswarm_dht_remembered_peers", node="main") == 5
    assert values("rlswarm_dht_clock_offset_seconds", node="main") == -0.5
    assert values("rlswarm_dht_clock_jumps_total", node="main") == 1
    assert values("rlswarm_dht_loop_lag_seconds", node="main") == 0.25
    assert values("rlswarm_action_required", node="main", action="check_bootnodes") == 0


async def test_whom_the_daemon_keeps_out(sockets: Any, tmp_path: Path, rendered: Any) -> None:
    values = rendered(await _collect(sockets, tmp_path, OwnPeers(60), dht_status()))
    assert values("rlswarm_dht_registered_only", node="main") == 1
    assert values("rlswarm_dht_banned_peers", node="main") == 1
    assert values("rlswarm_dht_bans_total", node="main") == 2
    assert values("rlswarm_dht_blamed_total", node="main", reason="copied") == 4
    assert values("rlswarm_dht_passed_over_total", node="main", reason="subnet") == 6
    assert values("rlswarm_dht_passed_over_total", node="main", reason="banned") == 0
    assert values("rlswarm_dht_store_bytes", node="main") == 2000
    assert values("rlswarm_dht_store_refused_total", node="main", reason="not_owner") == 5
    assert values("rlswarm_dht_compat_stopped", node="main") == 1
    assert values("rlswarm_dht_compat_dictionary_bytes", node="main") == 2_200_000
    assert values("rlswarm_dht_compat_records_total", node="main", result="read") == 9


async def test_no_compatibility_no_series_of_it(sockets: Any, tmp_path: Path, rendered: Any) -> None:
    values = rendered(await _collect(sockets, tmp_path, OwnPeers(60), dht_status(compat=None)))
    assert values("rlswarm_dht_compat_stopped", node="main") is None


@pytest.mark.parametrize(("state", "action"), [("isolated", "check_bootnodes"), ("clock_skew", "set_clock")])
async def test_states_that_need_the_operator(
    sockets: Any, tmp_path: Path, rendered: Any, state: str, action: str
) -> None:
    status = dht_status(state=state, last_remote_success=None)
    values = rendered(await _collect(sockets, tmp_path, OwnPeers(60), status))
    assert values("rlswarm_action_required", node="main", action=action) == 1
    assert values("rlswarm_dht_last_remote_success_timestamp_seconds", node="main") is None
    assert values("rlswarm_dht_state", node="main", state="ready") == 0


async def test_a_dead_daemon(sockets: Any, tmp_path: Path, rendered: Any) -> None:
    values = rendered(await _collect(sockets, tmp_path, OwnPeers(60), None))
    assert values.series(node="main") == {"rlswarm_component_up"}
    assert values("rlswarm_component_up", node="main", component="dht") == 0
