"""Real daemons exchange groups: what one publishes the others collect, byte for byte; the API's bounds hold."""

from __future__ import annotations

import base64
import time

import pytest
from tests.support.daemons import Daemons, Swarm, group

from swarm_core.identity import verify_binding
from swarm_core.records import MAX_BATCH_BYTES


def test_published_groups_are_collected_by_others(swarm: Swarm) -> None:
    first, second = group(1), group(2)
    told = swarm.one.publish(7, first, second)
    assert told["serving"] == 2
    assert told["instance"] == swarm.one.status()["instance"]
    batches, counts = swarm.two.collect(want=2)
    (peer,) = batches
    assert peer == swarm.one.status()["peer_id"]
    assert batches[peer].round == 7
    assert [found.digest() for found in batches[peer].groups] == [first.digest(), second.digest()]
    assert counts["answered"] >= 1
    assert counts["failed"] == 0
    assert swarm.one.status()["fetched_by"][swarm.two.status()["peer_id"]] >= 1
    published = swarm.one.http.get("/v1/published").json()
    assert {entry["sha256"] for entry in published if entry["serving"]} == {first.digest(), second.digest()}


def test_the_bootnode_answers_none(swarm: Swarm) -> None:
    swarm.one.publish(8, group(1))
    batches, counts = swarm.two.collect(want=100)
    assert swarm.bootnode.status()["peer_id"] not in batches
    assert counts["none"] == 1
    assert counts["asked"] == 2


def test_publishing_again_replaces_the_round_and_is_idempotent(swarm: Swarm) -> None:
    for _ in range(2):
        assert swarm.one.publish(9, group(3))["serving"] == 1
    swarm.one.publish(9, group(4))
    batches, _ = swarm.two.collect()
    assert [found.seed for found in batches[swarm.one.status()["peer_id"]].groups] == [4]


def test_groups_without_advantage_are_not_served(swarm: Swarm) -> None:
    assert swarm.one.publish(10, group(5, (1.0, 1.0)), group(6))["serving"] == 1
    batches, _ = swarm.two.collect()
    assert [found.seed for found in batches[swarm.one.status()["peer_id"]].groups] == [6]
    assert swarm.one.publish(11, group(5, (0.5, 0.5)))["serving"] == 0
    batches, counts = swarm.two.collect()
    assert batches == {}
    assert counts["none"] == 2


def test_stale_groups_are_neither_served_nor_taken(swarm: Swarm) -> None:
    swarm.one.publish(12, group(7), age=700)
    batches, counts = swarm.two.collect()
    assert batches == {}
    assert counts["none"] == 2
    swarm.one.publish(13, group(7), age=50)
    batches, counts = swarm.two.collect(max_age_s=20)
    assert batches == {}
    assert counts["rejected"] == {"stale": 1}


def test_a_large_batch_crosses_whole(swarm: Swarm) -> None:
    groups = [group(seed, tuple(float(number) for number in range(8)), size=14_000) for seed in range(9)]
    swarm.one.publish(14, *groups)
    batches, _ = swarm.two.collect(want=1)
    assert batches[swarm.one.status()["peer_id"]].groups == tuple(groups)


def test_a_bad_body_is_refused_and_nothing_changes(swarm: Swarm) -> None:
    swarm.one.publish(15, group(8))
    assert swarm.one.http.put("/v1/groups", content=b"x" * (MAX_BATCH_BYTES + 1)).status_code == 413
    answer = swarm.one.http.put("/v1/groups", content=b"\xc1junk")
    assert answer.status_code == 422
    assert "not a valid batch" in answer.json()["detail"]
    assert swarm.one.http.post("/v1/collect", json={"want": 0, "deadline_ms": 5}).status_code == 422
    assert swarm.one.status()["published"] == [group(8).digest()]


def test_collect_keeps_its_deadline_when_nobody_has_enough(swarm: Swarm) -> None:
    swarm.one.publish(16, group(9))
    started = time.monotonic()
    batches, _ = swarm.two.collect(want=4000, deadline_ms=1500)
    assert time.monotonic() - started < 3.0
    assert len(batches) == 1


def test_bind_is_a_signature_of_the_peer_key(swarm: Swarm) -> None:
    account, contract = "0x" + "ab" * 20, "0x" + "12" * 20
    answer = swarm.one.http.post("/v1/bind", json={"chain_id": 53855, "contract": contract, "account": account}).json()
    public, signature = (base64.b64decode(answer[name]) for name in ("public_key", "signature"))
    assert answer["peer_id"] == swarm.one.status()["peer_id"]
    assert verify_binding(answer["peer_id"], public, signature, account, 53855, contract)
    assert not verify_binding(answer["peer_id"], public, signature, "0x" + "cd" * 20, 53855, contract)
    assert swarm.one.http.post("/v1/bind", json={"chain_id": 1, "contract": "x", "account": account}).status_code == 422


def test_metrics_and_live_tell_the_state(swarm: Swarm) -> None:
    text = swarm.two.http.get("/metrics").text
    assert 'rlswarm_dht_state{state="ready"} 1.0' in text
    assert "rlswarm_dht_peers 2.0" in text
    assert swarm.two.http.get("/v1/live").json() == {"state": "ready"}


def test_memory_is_within_the_budget(swarm: Swarm) -> None:
    for daemon in (swarm.bootnode, swarm.one, swarm.two):
        assert 30e6 < daemon.status()["memory_rss"] < 400e6


@pytest.mark.parametrize("good", [True, False])
def test_bootnodes_from_the_chain(swarm: Swarm, daemons: Daemons, good: bool) -> None:
    late = daemons.start("late").up()
    late.wait(lambda status: status["state"] == "isolated")
    addresses = ["/ip4/300.1.1.1/tcp/1/p2p/Qm", "nonsense", *([swarm.bootnode.address] if good else [])]
    assert late.http.put("/v1/bootnodes", json={"addresses": addresses}).status_code == 204
    if good:
        status = late.wait(lambda status: status["state"] == "ready", 10)
        assert [(entry["source"], entry["connected"]) for entry in status["bootnodes"]] == [("chain", True)]
    else:
        status = late.wait(lambda status: status["state"] == "isolated")
        assert status["bootnodes"] == []
    assert late.stop() == 0
