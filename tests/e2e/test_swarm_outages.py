"""Without a bootnode the node trains alone, says so, and joins when the bootnode is back; without the RPC training goes
on and no reward is lost.

The tests go on with the stack of `test_swarm.py`; `test_swarm_secrets.py` ends it.
"""

from __future__ import annotations

import time
import urllib.request

from tests.e2e.stack import Stack, wait_until
from tests.e2e.test_swarm import delivered_everything

JOIN_SECONDS = 30
OUTAGE_SECONDS = 120


def test_alone_without_a_bootnode_and_back(auto: Stack) -> None:
    wait_until("the swarm trains", 120, lambda: auto.get("node")["rounds"].get("ok", 0) >= 2)
    for service in ("bootnode", "peer"):
        auto.container(service).stop(timeout=2)
    auto.container("dht").restart(timeout=5)
    wait_until("isolated", 60, lambda: auto.get("dht")["state"] == "isolated")
    wait_until("the worker knows", 60, lambda: auto.get("node")["state"] == "isolated")
    rounds = auto.get("node")["rounds"]["ok"]
    wait_until("trains alone", 60, lambda: auto.get("node")["rounds"]["ok"] >= rounds + 2)
    assert auto.history("node")[-1]["external"] == []
    assert "isolated" in auto.logs("dht")
    with urllib.request.urlopen(f"http://localhost:{auto.login_port}/", timeout=10) as answer:
        assert "Isolated" in answer.read().decode()
    assert "isolated" in auto.logs("node")
    with urllib.request.urlopen(f"http://127.0.0.1:{auto.metrics_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert 'rlswarm_worker_state{node="main",state="isolated"} 1.0' in text

    for service in ("bootnode", "peer"):
        auto.container(service).start()
    took = wait_until("joined", JOIN_SECONDS, lambda: auto.get("dht")["state"] == "ready")
    print(f"joined {took:.1f} s after the bootnode was started")
    wait_until("exchange", 90, lambda: bool(auto.history("node")[-1]["external"]))


def test_two_minutes_without_the_chain(auto: Stack) -> None:
    before = auto.get("node")
    restarts = auto.restarts()
    restarts.pop("chain")
    auto.container("chain").stop(timeout=30)
    began = time.monotonic()
    wait_until("the worker knows", 60, lambda: not auto.get("node")["chain_reachable"])
    wait_until("the outage lasts", OUTAGE_SECONDS + 30, lambda: time.monotonic() - began >= OUTAGE_SECONDS, every=2)
    during = auto.get("node")
    assert during["training_round"] >= before["training_round"] + 5, "training goes on"
    assert during["instance"] == before["instance"]
    auto.container("chain").start()
    wait_until("the worker follows again", 60, lambda: bool(auto.get("node")["chain_reachable"]))
    wait_until("every reward is on chain", 90, lambda: delivered_everything(auto))
    after = auto.restarts()
    after.pop("chain")
    assert after == restarts, "nothing else restarted"
