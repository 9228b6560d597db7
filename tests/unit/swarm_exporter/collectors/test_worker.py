"""The worker's status and last round become series of its node; a dead one becomes component_up 0 and nothing else."""

from pathlib import Path
from typing import Any

from tests.support.statuses import MAIN_PEER, OTHER_PEER, node_status, round_record

from swarm_exporter.collectors.worker import WorkerCollector
from swarm_exporter.nodes import Nodes
from swarm_exporter.peers import OwnPeers
from swarm_exporter.samples import Samples


def _serve(sockets: Any, directory: Path, status: Any, *records: Any) -> None:
    sockets.documents[directory / "node.sock", "/v1/status"] = status
    sockets.documents[directory / "node.sock", "/v1/history?limit=1"] = list(records)


async def test_both_nodes_are_labelled(sockets: Any, run_dir: Path, rendered: Any) -> None:
    _serve(sockets, run_dir, node_status(), round_record())
    _serve(sockets, run_dir / "peers/1", node_status(OTHER_PEER, "peer-1", phase="generate"), round_record(loss=None))
    peers, samples = OwnPeers(60), Samples()
    assert await WorkerCollector(sockets, Nodes(run_dir, "main", 60), peers).collect(samples)
    values = rendered(samples)
    assert peers.current() == {MAIN_PEER: "main", OTHER_PEER: "peer-1"}
    info = {"peer_id": MAIN_PEER, "node_name": "brisk silver otter", "model": "embedded", "device": "cpu"}
    assert values("rlswarm_node_info", node="main", **info) == 1
    assert values("rlswarm_component_up", node="peer-1", component="worker") == 1
    assert values("rlswarm_phase", node="main", phase="train") == 1
    assert values("rlswarm_phase", node="main", phase="generate") == 0
    assert values("rlswarm_phase", node="peer-1", phase="generate") == 1
    assert values("rlswarm_rounds_total", node="main", result="ok") == 39
    assert values("rlswarm_rounds_total", node="main", result="exchange_failed") == 2
    assert values("rlswarm_round_current", node="main") == 41
    assert values("rlswarm_round_joined", node="main") == 40
    assert values("rlswarm_rounds_behind", node="main") == 1
    assert values("rlswarm_train_reward_mean", node="main", source="own") == 0.25
    assert values("rlswarm_train_reward_mean", node="main", source="batch") == 0.5
    assert values("rlswarm_train_reward_mean", node="main", source="held_out") is None
    assert values("rlswarm_external_groups_total", node="main", result="used") == 70
    assert values("rlswarm_external_groups_total", node="main", result="rejected") == 4
    assert values("rlswarm_external_rejected_total", node="main", reason="stale") == 3
    assert values("rlswarm_train_loss", node="main") == -0.125
    assert values("rlswarm_train_loss", node="peer-1") is None
    assert values("rlswarm_round_phase_seconds", node="main", phase="train") == 2.0
    assert values("rlswarm_round_external_groups", node="main") == 1
    assert values("rlswarm_component_error", node="main", component="worker") == 0


async def test_a_worker_before_its_first_round(sockets: Any, tmp_path: Path, rendered: Any) -> None:
    fresh = node_status(phase="starting", rounds={}, reward_own=None, round_current=None, checkpoint_step=None)
    _serve(sockets, tmp_path, fresh)
    samples = Samples()
    assert await WorkerCollector(sockets, Nodes(tmp_path, "main", 60), OwnPeers(60)).collect(samples)
    values = rendered(samples)
    assert values("rlswarm_rounds_total", node="main", result="ok") == 0
    assert values("rlswarm_round_current", node="main") is None
    assert values("rlswarm_train_loss", node="main") is None


async def test_dead_workers_show_as_down_and_a_gone_peer_vanishes(
    sockets: Any, run_dir: Path, clock: Any, rendered: Any
) -> None:
    collector = WorkerCollector(sockets, Nodes(run_dir, "main", 60, clock), OwnPeers(60, clock))
    _serve(sockets, run_dir, node_status(), round_record())
    before = Samples()
    assert not await collector.collect(before)
    assert rendered(before).series(node="peer-1") == {"rlswarm_component_up"}
    assert rendered(before)("rlswarm_component_up", node="peer-1", component="worker") == 0
    clock.now += 61
    after = Samples()
    assert await collector.collect(after)
    assert rendered(after).series(node="peer-1") == set()
    sockets.documents.clear()
    silent = Samples()
    assert not await collector.collect(silent)
    down = ("rlswarm_component_up", frozenset({("node", "main"), ("component", "worker")}))
    assert rendered(silent).all == {down: 0.0}
