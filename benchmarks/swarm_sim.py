"""A swarm of 10 to 10,000 nodes on one machine: the product's collector, policy, reputation and screening over
simulated wires, with churn, latency, mixed speeds and, in turn, each kind of hostile peer.

    python -m benchmarks.swarm_sim --json

Reports per size: bytes and latency of a collect, and how evenly peers are picked; per hostile kind: the share of used
groups that are honest, and how many fewer groups a node used than without hostile peers. Ends with 1 when a law of
docs/scaling.md does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from benchmarks.sim_world import ROUND_SECONDS, SWARM, Peer, VirtualLoop, Wires, World

from swarm_core.records import GroupBatch
from swarm_dht.collect import Collector, CollectRequest
from swarm_dht.counters import Counters
from swarm_dht.peer_policy import PeerPolicy, Rules
from swarm_dht.reputation import Reputation
from swarm_node.exchange import ExternalGroup
from swarm_node.sampler import SeenGroups, draw
from swarm_node.screening import Screening
from swarm_node.tasks import TaskSet

J = 4
WANT = 12
DEADLINE_SECONDS = 10.0
MAX_AGE_SECONDS = 600.0
WALKS = 12
CHURN = 0.02  # of the peers, a round
OBSERVERS = 24
ROUNDS = 8
SIZES = (10, 100, 1000, 10_000)
KINDS = ("wrong", "copies", "stale", "junk", "slow", "sybil", "sybil_valid")
HOSTILE_SHARE = 0.10
SYBILS = 200
MAX_PICK = 2.0
MIN_HONEST = 0.97
FLAT = 1.2  # from 100 to 10,000 nodes


@dataclass
class Observer:
    """An honest node that is measured, with parts of the product."""

    name: str
    wires: Wires
    policy: PeerPolicy
    collector: Collector
    screening: Screening
    seen: SeenGroups = field(default_factory=SeenGroups)
    received: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    used: list[tuple[int, str]] = field(default_factory=list)  # round, intent
    asked: list[int] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def make_world(size: int, kind: str, seed: int, tasks: TaskSet) -> World:
    """`size` nodes of which a tenth is hostile of `kind` ("" for none), or `size` honest ones and 200 sybils."""
    rng = random.Random(f"{seed}/{size}/{kind}")
    sybils = kind.startswith("sybil")
    intents = ["honest"] * size + (["honest_looking" if kind == "sybil_valid" else "sybil"] * SYBILS if sybils else [])
    if kind and not sybils:
        for number in range(round(size * HOSTILE_SHARE)):
            intents[number] = kind
    peers = {}
    for number, intent in enumerate(intents):
        crowd = sybils and number >= size
        octets = (8, 8, 8, number % 256) if crowd else (rng.randrange(11, 100), *(rng.randrange(256) for _ in range(3)))
        peers[f"P{number}"] = Peer(
            name=f"P{number}",
            position=rng.getrandbits(64),
            address=f"/ip4/{'.'.join(map(str, octets))}/tcp/1",
            account="0xbad" if crowd else f"0x{number}",
            intent=intent,
            delay=min(0.4, rng.lognormvariate(-3.0, 0.7)),  # median 50 ms one way
            rate=10 ** rng.uniform(5.0, 7.0),  # 0.8 to 80 Mbit/s
        )
    return World(peers, tasks, rng)


def observe(world: World, name: str, loop: VirtualLoop, seed: int) -> Observer:
    """Parts of a node, wired as `swarm_dht.daemon` and `swarm_node.worker` do."""
    rng = random.Random(f"{seed}/{name}")
    wires = Wires(world, world.view(WALKS), name, loop.time)
    policy = PeerPolicy(Rules(), name, Reputation(), lambda peer: [world.peers[peer].address], loop.time)
    policy.learn_owners({peer.name: peer.account for peer in world.peers.values()} if len(world.peers) < 8000 else {})
    return Observer(name, wires, policy, Collector(wires, Counters(), rng, policy), Screening(world.tasks, swarm=SWARM))


async def one_round(world: World, node: Observer, rng: random.Random) -> None:
    """Collect, screen, draw: what the worker does between generating and training."""
    loop = asyncio.get_running_loop()
    before, began, asked = node.wires.received, loop.time(), len(node.wires.asked)
    result = await node.collector.collect(CollectRequest(WANT, 32, DEADLINE_SECONDS, MAX_AGE_SECONDS))
    node.seconds.append(loop.time() - began)
    node.received.append(node.wires.received - before)
    node.asked.append(len(node.wires.asked) - asked)
    node.dropped.update(result.rejected)
    groups = []
    for peer, age, data in result.batches:
        batch = GroupBatch.decode(data)
        groups += [ExternalGroup(peer, age, group, batch.round) for group in batch.groups]
    kept, dropped, verdicts = node.screening.judge(groups, node.name, node.seen)
    for peer, reason, count in verdicts:
        if reason == "good":
            node.policy.praised(peer, count)
        else:
            node.policy.blamed(peer, reason, count)
    node.dropped.update(dropped)
    used = draw(kept, J, rng)
    node.seen.add([group.sha256 for group in used])
    node.used += [(world.round, world.peers[group.peer_id].intent) for group in used]


async def run(world: World, loop: VirtualLoop, seed: int, rounds: int) -> list[Observer]:
    """All observers, round after round; the rest of the swarm only serves."""
    honest = [peer.name for peer in world.peers.values() if peer.intent == "honest"]
    rng = random.Random(seed)
    observers = [observe(world, name, loop, seed) for name in rng.sample(honest, min(OBSERVERS, len(honest)))]
    for _ in range(rounds):
        end = loop.time() + ROUND_SECONDS
        await asyncio.gather(*(one_round(world, node, rng) for node in observers))
        await asyncio.sleep(max(0.0, end - loop.time()))
        world.next_round(CHURN)
    return observers


def pick_rate(world: World, nodes: int) -> float:
    """Largest over mean rate at which peers are picked, when `nodes` nodes pick uniformly from what they have met."""
    rates: Counter[str] = Counter()
    for _ in range(nodes):
        view = world.view(WALKS)
        for peer in view:
            rates[peer] += 1 / len(view)  # type: ignore[assignment]
    return max(rates.values()) / (sum(rates.values()) / len(world.peers))


def measure(size: int, kind: str, seed: int, tasks: TaskSet, rounds: int) -> dict[str, Any]:
    """One swarm."""
    world, loop = make_world(size, kind, seed, tasks), VirtualLoop()
    try:
        observers = loop.run_until_complete(run(world, loop, seed, rounds))
    finally:
        loop.close()
    used = [entry for node in observers for entry in node.used]
    dropped = sum((node.dropped for node in observers), Counter[str]())
    honest = sum(intent == "honest" for _, intent in used)
    late = [entry for entry in used if entry[0] > rounds // 2]
    return {
        "size": len(world.peers),
        "kind": kind or "none",
        "bytes": round(statistics.mean(value for node in observers for value in node.received)),
        "seconds": round(statistics.median(value for node in observers for value in node.seconds), 3),
        "seconds_p95": round(statistics.quantiles([v for node in observers for v in node.seconds], n=20)[-1], 3),
        "asked": round(statistics.mean(value for node in observers for value in node.asked), 2),
        "used_per_round": round(len(used) / (len(observers) * rounds), 3),
        "honest_share": round(honest / max(1, len(used)), 4),
        "honest_share_second_half": round(sum(i == "honest" for _, i in late) / max(1, len(late)), 4),
        "honest_used_per_round": round(honest / (len(observers) * rounds), 3),
        "dropped": dict(dropped),
        "bans": sum(node.policy.reputation.bans for node in observers),
    }


def numbers(text: str) -> list[int]:
    """Comma separated numbers."""
    return [int(part) for part in text.split(",") if part]


def main() -> int:
    """Run and report; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=numbers, default=list(SIZES), help="sizes without hostile peers")
    parser.add_argument("--hostile-sizes", type=numbers, default=[100, 1000], help="sizes with each kind in turn")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    arguments = parser.parse_args()
    tasks, began = TaskSet.load("embedded"), time.monotonic()

    scale = []
    for size in arguments.sizes:
        row = measure(size, "", arguments.seed, tasks, arguments.rounds)
        row["pick_max_over_mean"] = round(pick_rate(make_world(size, "", arguments.seed, tasks), min(size, 2000)), 2)
        scale.append(row)
        show(row)
    hostile = []
    for size in arguments.hostile_sizes:
        base = measure(size, "", arguments.seed, tasks, arguments.rounds)
        for kind in KINDS:
            row = measure(size, kind, arguments.seed, tasks, arguments.rounds)
            row["lost"] = round(1 - row["honest_used_per_round"] / base["used_per_round"], 4)
            hostile.append(row)
            show(row)
    failures = judge(scale, hostile)
    print(*failures, sep="\n")
    if arguments.json:
        print(json.dumps({"benchmark": "swarm_sim", "scale": scale, "hostile": hostile, "failures": failures,
                          "seconds": round(time.monotonic() - began, 1)}))  # fmt: skip
    return 1 if failures else 0


def judge(scale: list[dict[str, Any]], hostile: list[dict[str, Any]]) -> list[str]:
    """Which laws do not hold."""
    failures = []
    large = [row for row in scale if row["size"] >= 100]
    for what in ("bytes", "seconds"):
        values = [row[what] for row in large]
        if values and max(values) > FLAT * min(values):
            failures.append(f"{what} are not flat from 100 nodes on: {values}")
    failures += [f"{row['size']} nodes: picked {row['pick_max_over_mean']} times the mean" for row in large
                 if row["pick_max_over_mean"] > MAX_PICK]  # fmt: skip
    failures += [f"{row['size']} nodes with {row['kind']}: {row['honest_share']:.1%} honest" for row in hostile
                 if row["honest_share"] < MIN_HONEST]  # fmt: skip
    return failures


def show(row: dict[str, Any]) -> None:
    """One line for people."""
    extra = f"pick max/mean {row['pick_max_over_mean']}" if "pick_max_over_mean" in row else f"lost {row['lost']:.1%}"
    times = f"{row['seconds']:.2f} s (p95 {row['seconds_p95']:.2f})"
    print(
        f"{row['size']:>6} nodes  {row['kind']:<12} {row['bytes']:>7} B  {times}  asked {row['asked']:>5}  "
        f"used {row['used_per_round']:.2f}  honest {row['honest_share']:.1%}  {extra}",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
