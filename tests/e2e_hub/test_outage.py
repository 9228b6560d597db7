"""Proves: five minutes in which the Hub hangs or answers 503 delay no round, and the push is made afterwards."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path

import pytest
from tests.support.fake_hub import FakeHub
from tests.support.fast_chain import FastChain
from tests.support.hub_run import PushingNode, longest_gap
from tests.support.stub_daemon import StubDaemon

OUTAGE_SECONDS, HANGING_SECONDS, CALM_ROUNDS, PACE = 300.0, 120.0, 20, 2.0

pytestmark = pytest.mark.timeout(900)


def gaps(records: list[dict[str, float]], start: float, end: float) -> list[float]:
    """Seconds between the ends of rounds that ended between two moments."""
    times = [record["finished_at"] for record in records if start <= record["finished_at"] <= end]
    return [after - before for before, after in itertools.pairwise(times)]


def test_five_minutes_without_the_hub_delay_no_round(tmp_path: Path) -> None:
    with FakeHub() as hub, FastChain(PACE) as chain:
        node = PushingNode(tmp_path / "node", hub.url, chain.url, "hf_write", every=10)
        with StubDaemon(tmp_path / "node" / "run" / "dht.sock", state="isolated", peers=0):
            try:
                node.wait(lambda: len(node.records()) >= CALM_ROUNDS and bool(hub.commits), 200)
                pushed, began = len(hub.commits), time.time()
                hub.mode = "hang"
                node.wait(lambda: time.time() - began >= HANGING_SECONDS, OUTAGE_SECONDS)
                hub.released.set()
                hub.mode = "down"
                node.wait(lambda: time.time() - began >= OUTAGE_SECONDS, OUTAGE_SECONDS)
                assert len(hub.commits) == pushed  # it was an outage
                hub.mode, ended = "ok", time.time()
                node.wait(lambda: len(hub.commits) > pushed, 300)
            finally:
                code = node.stop()
    assert code == 0
    records = node.records()
    assert all(record["result"] == "ok" for record in records)
    during, before = gaps(records, began, ended), gaps(records, 0.0, began)
    print(f"rounds during the outage {len(during)}, median {statistics.median(during):.2f} s,", end=" ")
    print(f"longest {max(during):.2f} s; before: median {statistics.median(before):.2f} s")
    assert len(during) > 0.8 * OUTAGE_SECONDS / PACE
    assert longest_gap(records) < 15.0  # a call of the client ends after 30
    assert statistics.median(during) <= 1.5 * statistics.median(before)
