"""Eight peers under constant faults: do the honest ones go on, and with whose groups?

    python benchmarks/chaos.py [--json] [--minutes 15] [--seed 1]

Real daemons, each in a network namespace: six honest peers (two of them behind a delaying proxy, each with a small
disk of its own) and two hostile ones (`benchmarks/chaos_hostile.py`), with a bootnode that dies as well. Each honest
peer has the network half of the worker's round: the product's exchange client, screening, sampler and questions,
without a model. Every few seconds one fault begins: p2pd killed or stopped, the daemon killed and started again, two
peers cut off from each other or one from everybody (iptables), a longer delay, a full disk, the bootnode gone.
Exit code 1 unless every round of every honest worker ended by itself, the median of external groups used is at least
90 % of J over the rounds that began with three honest peers reachable, nothing hostile was used, and memory is flat.
Needs root, iproute2 and iptables.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.daemons import Daemon, Daemons, daemons_below
from tests.support.namespaces import Network, network

from swarm_core.records import GroupBatch, RolloutGroup
from swarm_node.exchange import Exchange
from swarm_node.sampler import SeenGroups, draw
from swarm_node.screening import Screening
from swarm_node.tasks import TaskSet

ROOT = Path(__file__).resolve().parents[1]
HONEST, HOSTILE, WANTED, GROUPS = 6, 2, 4, 2
SHARE, ENOUGH_PEERS = 0.9, 3
_SWARM = "53855"  # the chain id that the daemons have by default
_PORT, _INNER_PORT = 38751, 38752
_DISK_BYTES = 16 * 1024 * 1024
_EXCHANGE_SECONDS = 4.0
_ROUND_LIMIT_SECONDS = 15.0
_JOIN_SECONDS = 120.0
_MEMORY_GROWTH = 1.2


@dataclass
class Round:
    """One round of one honest worker."""

    began: float
    reachable: int
    used: int
    seconds: float
    state: str


@dataclass
class Peer:
    """An honest peer, and what is wrong with it now."""

    name: str
    daemon: Daemon
    namespace: str
    address: str
    proxy: Path | None
    down: bool = False
    cut_from: set[str] = field(default_factory=set)
    rounds: list[Round] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    rss: list[tuple[float, int]] = field(default_factory=list)
    hostile_used: int = 0


class Worker:
    """The network half of `swarm_node.worker.Worker.round` of one peer."""

    def __init__(self, peer: Peer, tasks: TaskSet, pace: float) -> None:
        self._peer = peer
        self._tasks = tasks
        self._pace = pace
        self._exchange = Exchange(peer.daemon.directory / "run" / "dht.sock")
        self._screening = Screening(tasks, self._exchange, None, _SWARM)
        self._peer_id = str(peer.daemon.status()["peer_id"])
        self._seen = SeenGroups()
        self._rng = random.Random(peer.name)

    def _own(self, number: int) -> tuple[RolloutGroup, ...]:
        made = []
        for task in self._tasks.sample(_SWARM, self._peer_id, number, GROUPS):
            texts = (f"<answer>{task.answer}</answer>", f"<answer>{number}</answer> no {self._rng.random()}")
            made.append(RolloutGroup(task.name, task.seed, task.question, task.answer, texts, (1.0, 0.0)))
        return tuple(made)

    async def round(self, number: int, reachable: int) -> None:
        """Publish, collect, verify, draw."""
        began = time.monotonic()
        await self._exchange.publish(GroupBatch(number, time.time(), self._own(number)))
        collected = await self._exchange.collect(WANTED * GROUPS, _EXCHANGE_SECONDS, 600.0)
        kept, _ = await self._screening.verify(collected.groups, self._peer_id, self._seen)
        used = draw(kept, WANTED, self._rng)
        self._seen.add([group.sha256 for group in used])
        self._peer.hostile_used += sum("hostile" in text for group in used for text in group.completions)
        self._peer.rounds.append(Round(began, reachable, len(used), time.monotonic() - began, collected.state))

    async def run(self, until: float, reachable: Callable[[Peer], int]) -> None:
        """Rounds until the time is over; whatever one raises is counted."""
        number = 0
        while time.monotonic() < until:
            number += 1
            try:
                async with asyncio.timeout(_ROUND_LIMIT_SECONDS):
                    await self.round(number, reachable(self._peer))
            except Exception as error:  # noqa: BLE001 - that none is raised is what is measured
                self._peer.errors[repr(error)[:200]] += 1
            await asyncio.sleep(self._pace * self._rng.uniform(0.8, 1.2))
        await self._exchange.close()


class Chaos:
    """The swarm and its faults."""

    def __init__(self, net: Network, made: Daemons, directory: Path, seed: int) -> None:
        self._net = net
        self._made = made
        self._directory = directory
        self.rng = random.Random(seed)
        self.faults: Counter[str] = Counter()
        self.peers: list[Peer] = []
        self._children: list[subprocess.Popen[bytes]] = []
        space, host = net.public("boot")
        self.bootnode = made.start("boot", namespace=space, host=host, port=_PORT).up()
        for number in range(HONEST):
            self.peers.append(self._honest(number))
        for number in range(HOSTILE):
            self._hostile(number)

    def _honest(self, number: int) -> Peer:
        name = f"peer{number}"
        space, host = self._net.public(name)
        disk = self._directory / name
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "rlx", str(disk)], check=True, timeout=30)
        if number >= 2:
            daemon = self._made.start(name, self.bootnode.address, namespace=space, host=host, port=_PORT)
            return Peer(name, daemon, space, host, None)
        delay = self._directory / f"{name}.delay"
        delay.write_text("0.05")
        self._spawn(space, "benchmarks/chaos_proxy.py", host, str(_PORT), str(_INNER_PORT), str(delay))
        daemon = self._made.start(
            name, self.bootnode.address, namespace=space, host=host, port=_INNER_PORT,
            SWARM_ANNOUNCE=f"/ip4/{host}/tcp/{_PORT}", SWARM_REACHABILITY="public",
        )  # fmt: skip
        return Peer(name, daemon, space, host, delay)

    def _hostile(self, number: int) -> None:
        space, host = self._net.public(f"evil{number}")
        directory = self._directory / f"evil{number}"
        directory.mkdir()
        self._spawn(space, "benchmarks/chaos_hostile.py", str(directory), host, self.bootnode.address)

    def _spawn(self, namespace: str, script: str, *arguments: str) -> None:
        path = os.pathsep.join(str(ROOT / part) for part in ("", "services", "node"))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
        with (self._directory / f"{Path(script).stem}{len(self._children)}.log").open("wb") as log:
            command = ["ip", "netns", "exec", namespace, sys.executable, str(ROOT / script), *arguments]
            self._children.append(
                subprocess.Popen(command, env={**environment, "PYTHONPATH": path}, stdout=log, stderr=log)
            )

    def ready(self) -> None:
        """Wait until all know each other."""
        for peer in self.peers:
            peer.daemon.wait(lambda status: status["peers"] >= HONEST, _JOIN_SECONDS)

    def reachable(self, peer: Peer) -> int:
        """Honest peers that `peer` could ask now."""
        if peer.down:
            return 0
        return sum(not other.down and other.name not in peer.cut_from for other in self.peers if other is not peer)

    async def run(self, until: float) -> None:
        """One fault after another; several may overlap."""
        kinds: list[Callable[[Peer], Awaitable[None]]] = [
            self.p2pd_killed, self.p2pd_stopped, self.daemon_killed, self.pair_cut, self.cut_off, self.slower,
            self.disk_full, self.bootnode_gone,
        ]  # fmt: skip
        running: set[asyncio.Task[None]] = set()
        while time.monotonic() < until - 20:
            kind, peer = self.rng.choice(kinds), self.rng.choice(self.peers)
            if not peer.down and sum(other.down for other in self.peers) < 2:
                self.faults[kind.__name__] += 1
                task = asyncio.ensure_future(kind(peer))
                running.add(task)
                task.add_done_callback(running.discard)
            await asyncio.sleep(self.rng.uniform(2.0, 6.0))
        await asyncio.gather(*running)

    async def p2pd_killed(self, peer: Peer) -> None:
        """SIGKILL of p2pd."""
        with contextlib.suppress(ValueError, OSError):
            os.kill(peer.daemon.p2pd, signal.SIGKILL)

    async def p2pd_stopped(self, peer: Peer) -> None:
        """SIGSTOP of p2pd."""
        with contextlib.suppress(ValueError, OSError):
            os.kill(peer.daemon.p2pd, signal.SIGSTOP)

    async def daemon_killed(self, peer: Peer) -> None:
        """SIGKILL of the daemon, started again a second later."""
        peer.down = True
        await asyncio.to_thread(peer.daemon.kill)
        await asyncio.sleep(1.0)
        peer.daemon.start()
        with contextlib.suppress(AssertionError):
            await asyncio.to_thread(peer.daemon.wait, lambda status: status["state"] == "ready", 30.0)
        peer.down = False

    async def pair_cut(self, peer: Peer) -> None:
        """Nothing passes between two peers."""
        other = self.rng.choice([other for other in self.peers if other is not peer])
        if other.name in peer.cut_from:
            return
        peer.cut_from.add(other.name)
        other.cut_from.add(peer.name)
        await asyncio.to_thread(self._net.cut, peer.namespace, other.address)
        await asyncio.sleep(self.rng.uniform(5.0, 15.0))
        await asyncio.to_thread(self._net.cut, peer.namespace, other.address, back=True)
        await asyncio.sleep(5.0)  # connections come back
        peer.cut_from.discard(other.name)
        other.cut_from.discard(peer.name)

    async def cut_off(self, peer: Peer) -> None:
        """One peer hears nobody."""
        peer.down = True
        await asyncio.to_thread(self._net.cut, peer.namespace, "0.0.0.0/0")
        await asyncio.sleep(self.rng.uniform(5.0, 15.0))
        await asyncio.to_thread(self._net.cut, peer.namespace, "0.0.0.0/0", back=True)
        await asyncio.sleep(10.0)
        peer.down = False

    async def slower(self, peer: Peer) -> None:
        """A longer delay for one of the two behind a proxy."""
        behind = self.rng.choice([other for other in self.peers if other.proxy is not None])
        assert behind.proxy is not None
        behind.proxy.write_text(str(self.rng.choice((0.2, 0.5, 1.0))))
        await asyncio.sleep(10.0)
        behind.proxy.write_text("0.05")

    async def disk_full(self, peer: Peer) -> None:
        """No byte left where the daemon writes."""
        filler = peer.daemon.directory / "filler"
        with contextlib.suppress(OSError), filler.open("wb") as file:
            file.write(bytes(_DISK_BYTES))
        await asyncio.sleep(self.rng.uniform(5.0, 15.0))
        filler.unlink(missing_ok=True)

    async def bootnode_gone(self, peer: Peer) -> None:
        """The only bootnode is away for a while."""
        if self.bootnode.process is None or self.bootnode.process.poll() is not None:
            return
        await asyncio.to_thread(self.bootnode.kill)
        await asyncio.sleep(10.0)
        self.bootnode.start()
        await asyncio.sleep(5.0)

    async def watch(self, until: float) -> None:
        """Memory of the daemons with their p2pds."""
        while time.monotonic() < until:
            for peer in self.peers:
                with contextlib.suppress(Exception):
                    status = await asyncio.to_thread(peer.daemon.status)
                    peer.rss.append((time.monotonic(), status["memory_rss"]))
            await asyncio.sleep(5.0)

    def close(self) -> None:
        """End what was spawned, unmount."""
        for child in self._children:
            child.kill()
            child.wait(10)
        self._made.close()
        for peer in self.peers:
            subprocess.run(["umount", "-l", str(peer.daemon.directory)], check=False, timeout=30, capture_output=True)


def report(chaos: Chaos, began: float, seconds: float) -> dict[str, Any]:
    """What was seen, and whether it is enough."""
    rounds = [entry for peer in chaos.peers for entry in peer.rounds]
    fed = [entry.used for entry in rounds if entry.reachable >= ENOUGH_PEERS]
    errors = sum((peer.errors for peer in chaos.peers), Counter[str]())
    quarters: list[list[int]] = [[], [], [], []]
    for peer in chaos.peers:
        for at, rss in peer.rss:
            quarters[min(3, int(4 * (at - began) / seconds))].append(rss)
    early, late = (statistics.median(quarters[number] or [0]) for number in (1, 3))
    median = statistics.median(fed) if fed else 0.0
    hostile = sum(peer.hostile_used for peer in chaos.peers)
    return {
        "seconds": round(seconds),
        "faults": dict(chaos.faults),
        "rounds": len(rounds),
        "rounds_each": {peer.name: len(peer.rounds) for peer in chaos.peers},
        "errors": dict(errors),
        "rounds_with_enough_peers": len(fed),
        "median_used": median,
        "mean_used": round(statistics.mean(fed), 2) if fed else 0.0,
        "share_of_wanted": median / WANTED,
        "slowest_round": round(max((entry.seconds for entry in rounds), default=0.0), 2),
        "states": dict(Counter(entry.state for entry in rounds)),
        "hostile_groups_used": hostile,
        "memory_second_quarter": early,
        "memory_last_quarter": late,
        "rebuilds": {peer.name: _status(peer).get("rebuilds") for peer in chaos.peers},
        "rejected": {peer.name: _status(peer).get("rejected") for peer in chaos.peers},
        "ok": bool(rounds)
        and not errors
        and median >= SHARE * WANTED
        and not hostile
        and late <= _MEMORY_GROWTH * early,
    }


def _status(peer: Peer) -> dict[str, Any]:
    with contextlib.suppress(Exception):
        return peer.daemon.status()
    return {}


async def play(chaos: Chaos, seconds: float) -> dict[str, Any]:
    """Workers and faults for `seconds`."""
    tasks = TaskSet.load("embedded")
    began = time.monotonic()
    until = began + seconds
    paces = (1.0, 1.0, 1.5, 2.0, 2.0, 4.0)
    workers = [Worker(peer, tasks, pace) for peer, pace in zip(chaos.peers, paces, strict=True)]
    await asyncio.gather(
        chaos.run(until), chaos.watch(until), *(worker.run(until, chaos.reachable) for worker in workers)
    )
    return report(chaos, began, seconds)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))  # so that namespaces and mounts are removed
    with tempfile.TemporaryDirectory() as name, daemons_below(Path(name)) as made, network() as net:
        chaos = Chaos(net, made, Path(name), options.seed)
        try:
            chaos.ready()
            found = asyncio.run(play(chaos, options.minutes * 60))
        finally:
            chaos.close()
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))
    sys.exit(0 if found["ok"] else 1)


if __name__ == "__main__":
    main()
