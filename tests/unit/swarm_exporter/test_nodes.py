"""Nodes are found by their directories; a silent extra peer is forgotten after a while and comes back by itself."""

from pathlib import Path
from typing import Any

from swarm_exporter.nodes import Node, Nodes
from swarm_exporter.peers import OwnPeers


def test_main_first_then_slots_in_numeric_order(tmp_path: Path) -> None:
    for name in ("10", "2", "1", "x", "lost+found"):
        (tmp_path / "peers" / name).mkdir(parents=True)
    (tmp_path / "peers" / "3").write_text("a file is no slot")
    labels = [node.label for node in Nodes(tmp_path, "main", 60).present()]
    assert labels == ["main", "peer-1", "peer-2", "peer-10"]


def test_without_a_run_directory_there_is_the_main_node(tmp_path: Path) -> None:
    nodes = Nodes(tmp_path / "absent", "gpu-box", 60)
    assert nodes.present() == [Node("gpu-box", tmp_path / "absent")]


def test_a_silent_peer_is_forgotten_and_an_answer_brings_it_back(run_dir: Path, clock: Any) -> None:
    nodes = Nodes(run_dir, "main", 60, clock)
    main, peer = nodes.present()
    assert nodes.counts(peer)
    clock.now += 61
    assert not nodes.counts(peer)
    assert nodes.counts(main)
    nodes.answered(peer)
    assert nodes.counts(peer)


def test_a_slot_that_is_made_anew_starts_afresh(run_dir: Path, clock: Any) -> None:
    nodes = Nodes(run_dir, "main", 60, clock)
    (peer,) = nodes.present()[1:]
    assert nodes.counts(peer)
    clock.now += 61
    (run_dir / "peers" / "1").rmdir()
    assert [node.label for node in nodes.present()] == ["main"]
    (run_dir / "peers" / "1").mkdir()
    assert nodes.counts(nodes.present()[1])


def test_own_peers_expire(clock: Any) -> None:
    peers = OwnPeers(60, clock)
    peers.seen("A", "main")
    peers.seen("", "peer-1")
    clock.now += 40
    peers.seen("B", "peer-1")
    assert peers.current() == {"A": "main", "B": "peer-1"}
    clock.now += 40
    assert peers.current() == {"B": "peer-1"}
    assert peers.node_of("A") is None
