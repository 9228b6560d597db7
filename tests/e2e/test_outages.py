"""Without a bootnode the node trains alone, says so, and joins when the bootnode is back; without the RPC training goes
on and no reward is lost.

The tests share one stack.
"""

from __future__ import annotations

import time
import urllib.request

from tests.e2e.stack import Stack, wait_until

JOIN_SECONDS = 30
OUTAGE_SECONDS = 120


def test_alone_without_a_bootnode_and_back(auto: Stack) -> None:
    wait_until("the swarm trains", 120, lambda: auto.get("node")["rounds"].get("ok", 0) >= 2)
    auto.compose("stop", "--timeout", "2", "bootnode", "peer")
    auto.compose("restart", "--timeout", "2", "dht")
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

    auto.compose("start", "bootnode", "peer")
    took = wait_until("joined", JOIN_SECONDS, lambda: auto.get("dht")["state"] == "ready")
    print(f"joined {took:.1f} s after the bootnode was started")
    wait_until("exchange", 90, lambda: bool(auto.history("node")[-1]["external"]))


def test_two_minutes_without_the_chain(auto: Stack) -> None:
    before = auto.get("node")
    restarts = auto.restarts()
    restarts.pop("chain")
    auto.compose("stop", "chain")
    began = time.monotonic()
    wait_until("the worker knows", 60, lambda: not auto.get("node")["chain_reachable"])
    wait_until("the outage lasts", OUTAGE_SECONDS + 30, lambda: time.monotonic() - began >= OUTAGE_SECONDS, every=2)
    during = auto.get("node")
    assert during["training_round"] >= before["training_round"] + 5, "training goes on"
    assert during["instance"] == before["instance"]
    auto.compose("start", "chain")
    wait_until("the worker follows again", 60, lambda: bool(auto.get("node")["chain_reachable"]))
    wait_until("everything delivered", 90, lambda: all_delivered(auto))
    for peer in auto.get("login-proxy")["peers"]:
        assert peer["chain_total"] == peer["delivered_total"] > 0
    after = auto.restarts()
    after.pop("chain")
    assert after == restarts, "nothing else restarted"


def all_delivered(stack: Stack) -> bool:
    """The outbox is empty and the chain shows, for both peers, what their workers handed over."""
    login = stack.get("login-proxy")
    handed = {"main": stack.get("node")["reward_handed_over"], "peer-1": stack.get("peer")["reward_handed_over"]}
    return not any(login["pending"].values()) and all(
        peer["chain_total"] == peer["delivered_total"] == handed[peer["node"]] for peer in login["peers"]
    )
