"""Proves: a worker pushes to a Hub beside training, an outage delays no round, a token that may only read is refused.

Real `swarm-node`, real huggingface_hub client, a local server that speaks the Hub's API.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.fake_hub import FakeHub
from tests.support.fast_chain import FastChain
from tests.support.hub_run import PushingNode, longest_gap
from tests.support.stub_daemon import PEER, StubDaemon

from swarm_core.names import peer_name

REPOSITORY = f"ada/embedded-Gensyn-Swarm-{peer_name(PEER).replace(' ', '_')}"
pytestmark = pytest.mark.timeout(300)


def test_it_pushes_through_an_outage_without_a_delay(tmp_path: Path) -> None:
    with FakeHub() as hub, FastChain() as chain:
        run_dir = tmp_path / "node" / "run"
        hub.mode = "hang"  # nobody answers, not even at the start's check of the token
        node = PushingNode(tmp_path / "node", hub.url, chain.url, "hf_write")
        with StubDaemon(run_dir / "dht.sock", state="isolated", peers=0):
            try:
                node.wait(lambda: len(node.records()) >= 8, 150)
                assert any(path == "/api/whoami-v2" for _, path, _ in hub.requests)
                assert longest_gap(node.records()) < 10.0  # a call of the client would have waited 30
                hub.mode = "ok"
                hub.released.set()
                node.wait(lambda: bool(hub.commits), 120)
            finally:
                code = node.stop()
    assert code == 0
    assert {repository for repository, _ in hub.commits} == {REPOSITORY}
    files = hub.files[REPOSITORY]
    assert {"README.md", "rewards.svg", "config.json", "model.safetensors", "tokenizer.json"} <= files.keys()
    card = files["README.md"].decode()
    assert "| learning_rate | 0.0003 |" in card
    assert "rewards.svg" in card
    assert files["rewards.svg"].count(b"<polyline") == 2
    assert all(record["result"] == "ok" for record in node.records())
    assert "hf_write" not in node.log.read_text()


def test_a_token_that_may_only_read_is_refused_at_the_start(tmp_path: Path) -> None:
    with FakeHub() as hub, FastChain() as chain:
        node = PushingNode(tmp_path / "node", hub.url, chain.url, "hf_read")
        assert node.process.wait(timeout=120) == 78
    (line,) = [line for line in node.log.read_text().splitlines() if " error " in line]
    assert "may only read" in line
    assert "Remedy:" in line
    assert node.records() == []
