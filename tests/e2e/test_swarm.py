"""A fresh clone becomes a training swarm: rounds, exchange, rewards on chain, metrics, page; then everything in it is
killed once, and nothing is lost.

The tests share one stack, which `test_swarm_outages.py` goes on with, and run in this order.
"""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.stack import Failed, Stack, wait_until

WORKERS = {"main": "node", "peer-1": "peer"}
OTHER = {"main": "peer-1", "peer-1": "main"}
ROUNDS = 8
USED_SHARE = 0.8
RESTART_SECONDS = 90
MEGABYTE = 1_000_000
REWARDS = """
import asyncio, sys
from swarm_chain.client import ChainClient
from swarm_chain.settings import ChainSettings
from swarm_core.settings import load

async def main():
    client = ChainClient(load(ChainSettings))
    print(*await client.total_rewards(sys.argv[1:]))

asyncio.run(main())
"""


def metrics(stack: Stack) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of the exporter."""
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.metrics_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    families = text_string_to_metric_families(text)
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def sample(stack: Stack, name: str, **labels: str) -> float:
    """The value of the one sample that has these labels."""
    found = [v for (n, have), v in metrics(stack).items() if n == name and set(labels.items()) <= have]
    if len(found) != 1:
        raise Failed(f"{name}{labels}: {found}")
    return found[0]


def on_chain(stack: Stack, peers: list[str]) -> dict[str, int]:
    """getTotalRewards of each peer, asked from the contract itself."""
    ended = stack.container("login-proxy").exec_run(["/opt/venv/bin/python", "-c", REWARDS, *peers], demux=True)
    if ended.exit_code != 0:
        raise Failed(f"the contract does not answer: {ended.output}")
    return dict(zip(peers, map(int, ended.output[0].split()), strict=True))


def accounts(stack: Stack) -> dict[str, dict[str, Any]]:
    """node name → what the login service says about that peer."""
    return {peer["node"]: peer for peer in stack.get("login-proxy")["peers"]}


def delivered_everything(stack: Stack) -> bool:
    """Nothing is pending; what each worker handed over, the outbox delivered and the contract counts are one number."""
    handed = {name: stack.get(what)["reward_handed_over"] for name, what in WORKERS.items()}
    status = stack.get("login-proxy")
    peers = {peer["node"]: peer for peer in status["peers"]}
    chain = on_chain(stack, [peers[name]["peer_id"] for name in WORKERS])
    return not any(status["pending"].values()) and all(
        chain[peers[name]["peer_id"]] == peers[name]["delivered_total"] == handed[name] for name in WORKERS
    )


def started_at(stack: Stack) -> float:
    """When the last of the containers was started."""
    times = [stack.container(s).attrs["State"]["StartedAt"] for s in ("node", "peer", "dht", "login-proxy")]
    return max(datetime.fromisoformat(t[:19] + "+00:00").timestamp() for t in times)


@pytest.mark.timeout(400)  # building up the stack counts
def test_within_three_minutes_both_peers_train_on_each_others_groups(auto: Stack) -> None:
    peer_ids: dict[str, str] = {}

    def reached() -> bool:
        peer_ids.update({name: auto.get(what)["peer_id"] for name, what in WORKERS.items()})
        rounds = {name: ok_rounds(auto, what) for name, what in WORKERS.items()}
        shares = {}
        for name, other in OTHER.items():
            # one of the two starts first: its rounds count from the other's first one on
            begun = rounds[other][0]["finished_at"]
            together = [record for record in rounds[name] if record["finished_at"] > begun]
            shares[name] = [bool(used(record, peer_ids[other])) for record in together]
        if any(len(share) < ROUNDS or sum(share) < USED_SHARE * len(share) for share in shares.values()):
            states = {name: [record["exchange_state"] for record in rounds[name]] for name in WORKERS}
            raise Failed(f"{shares} {states}")
        return True

    left = started_at(auto) + 180 - time.time()
    wait_until(f"{ROUNDS} rounds on both peers, {USED_SHARE:.0%} of them with a group of the other", left, reached)
    assert len(set(peer_ids.values())) == 2
    for name, other in OTHER.items():
        taken = {digest for record in ok_rounds(auto, WORKERS[name]) for digest in used(record, peer_ids[other])}
        assert taken
        # a round enters the history at its end, its groups are published before
        wait_until("every group used is in the other's list", 30, partial(published_all, auto, WORKERS[other], taken))


def published_all(stack: Stack, worker: str, digests: set[str]) -> bool:
    """Whether the worker's rounds list all `digests` as published."""
    return digests <= {digest for record in stack.history(worker) for digest in record["published"]}


def ok_rounds(stack: Stack, worker: str) -> list[dict[str, Any]]:
    """Records of the finished rounds."""
    return [record for record in stack.history(worker) if record["result"] == "ok"]


def used(record: dict[str, Any], peer_id: str) -> list[str]:
    """SHA-256 of the groups of `peer_id` that entered the round's training step."""
    return [group["sha256"] for group in record["external"] if group["peer"] == peer_id]


def test_rewards_on_chain_are_what_the_outbox_delivered(auto: Stack) -> None:
    wait_until("every reward is on chain", 30, lambda: delivered_everything(auto))
    peers = accounts(auto)
    assert set(peers) == set(WORKERS)
    assert {peer["state"] for peer in peers.values()} == {"registered"}
    assert all(peer["delivered_total"] > 0 for peer in peers.values())


def test_metrics_and_page_show_both_peers(auto: Stack) -> None:
    for name in WORKERS:
        assert sample(auto, "rlswarm_rounds_total", node=name, result="ok") >= ROUNDS
        assert sample(auto, "rlswarm_component_up", node=name, component="worker") == 1
        assert sample(auto, "rlswarm_external_groups_total", node=name, result="used") > 0
    rewards = [value for (name, _), value in metrics(auto).items() if name == "rlswarm_peer_rewards"]
    assert len(rewards) == 2
    assert min(rewards) > 0
    with urllib.request.urlopen(f"http://localhost:{auto.login_port}/", timeout=10) as answer:
        shown = answer.read().decode()
    assert all(peer["peer_id"] in shown for peer in accounts(auto).values())


def test_prometheus_of_the_monitoring_profile_scrapes_the_node(auto: Stack) -> None:
    auto.compose("--profile", "monitoring", "up", "--detach", "--wait", "--no-deps", "prometheus")
    url = f"http://127.0.0.1:{auto.ports['SWARM_PROMETHEUS_PORT']}/api/v1/query?query=rlswarm_component_up"

    def scraped() -> bool:
        with urllib.request.urlopen(url, timeout=10) as answer:
            found = json.load(answer)["data"]["result"]
        return len(found) >= 6 and all(entry["value"][1] == "1" for entry in found)

    wait_until("Prometheus has the node's metrics", 30, scraped)


@pytest.mark.parametrize(
    ("service", "limit"),
    [("node", 900), ("dht", 400), ("bootnode", 400), ("peer", 1300), ("chain", 150), ("round-keeper", 150),
     ("login-proxy", 150), ("exporter", 150)],
)  # fmt: skip
def test_resident_memory_is_bounded(auto: Stack, service: str, limit: int) -> None:
    used = auto.rss(service) / MEGABYTE
    print(f"{service}: {used:.0f} MB resident")
    assert used <= limit


@pytest.mark.parametrize("service", ["node", "dht", "login-proxy", "chain", "exporter"])
def test_a_killed_process_comes_back_as_it_was(auto: Stack, service: str) -> None:
    before = auto.restarts()
    identity = {name: peer["peer_id"] for name, peer in accounts(auto).items()}
    account = auto.get("login-proxy")["account"]
    steps = {name: auto.get(what)["optimizer_step"] for name, what in WORKERS.items()}
    delivered = {name: peer["delivered_total"] for name, peer in accounts(auto).items()}
    started = auto.container(service).attrs["State"]["StartedAt"]

    auto.kill_main(service)
    wait_until("restarted", RESTART_SECONDS, lambda: auto.restarts().get(service, 0) == before[service] + 1)
    # the engine counts a restart before it has started the container
    wait_until("started", RESTART_SECONDS, lambda: auto.container(service).attrs["State"]["StartedAt"] != started)
    wait_until("every socket answers", RESTART_SECONDS, lambda: answering(auto))
    rounds_then = {name: len(auto.history(what)) for name, what in WORKERS.items()}
    wait_until(
        "the swarm goes on",
        RESTART_SECONDS,
        lambda: all(len(auto.history(what)) > rounds_then[name] for name, what in WORKERS.items()),
    )
    wait_until("every reward is on chain", RESTART_SECONDS, lambda: delivered_everything(auto))

    assert auto.get("login-proxy")["account"] == account
    assert auto.get("login-proxy")["state"] == "registered"
    peers = accounts(auto)
    assert {name: peer["peer_id"] for name, peer in peers.items()} == identity
    assert all(peer["delivered_total"] >= delivered[name] for name, peer in peers.items())
    for name, what in WORKERS.items():
        assert auto.get(what)["optimizer_step"] >= steps[name] - 1
    changed = {name for name, count in auto.restarts().items() if count != before[name]}
    assert changed == {service}


def answering(stack: Stack) -> bool:
    """Login service, both workers and the exporter answer again."""
    try:
        worker_up = sample(stack, "rlswarm_component_up", node="main", component="worker")
    except OSError:
        return False
    return worker_up == 1 and bool(accounts(stack)) and all(stack.history(what) for what in WORKERS.values())


def test_a_killed_p2pd_is_replaced_within_a_second(auto: Stack) -> None:
    before = auto.get("dht")
    instance = auto.get("node")["instance"]
    killed = auto.kill(auto.host_pid("dht", "p2pd"))
    wait_until(
        "p2pd rebuilt",
        15,
        lambda: auto.get("dht")["rebuilds"] > before["rebuilds"] and auto.get("dht")["state"] == "ready",
    )
    took = auto.logged_at("dht", "p2pd up")[-1] - killed
    print(f"p2pd up again {took:.2f} s after it was killed")
    assert took <= 1
    after = auto.get("dht")
    print(f"p2pd back after {took:.2f} s, polls included")
    assert after["peer_id"] == before["peer_id"]
    assert after["instance"] == before["instance"], "the daemon itself did not restart"
    assert auto.get("node")["instance"] == instance
    wait_until(
        "exchange works again",
        60,
        lambda: any(record["external"] for record in auto.history("node") if record["finished_at"] > killed + took + 1),
    )
    assert sample(auto, "rlswarm_dht_rebuilds_total", node="main") >= 1
