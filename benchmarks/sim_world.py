"""The simulated network of `swarm_sim`: peers with latency, speed and intent, and a loop whose clock jumps.

What a peer serves are the product's own records; only the wires are simulated. Works with `swarm_dht.collect`
(`Transport`) on one side and `swarm_node.tasks` (whose questions honest peers answer) on the other.
"""

from __future__ import annotations

import asyncio
import bisect
import hashlib
import random
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from swarm_core.records import GroupBatch, RolloutGroup
from swarm_dht.collect import FetchFailed
from swarm_dht.wire import BATCH, FetchReply
from swarm_node.tasks import Task, TaskSet

SWARM = "53855"
ROUND_SECONDS = 30.0
COMPLETIONS = 4
QUESTIONS = 3
_REQUEST_BYTES, _REPLY_OVERHEAD = 120, 60  # with libp2p's framing, as counted in benchmarks/exchange.py's namespace
_BUCKET = 20  # Kademlia's


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop in which waiting takes no time: when nothing is ready, the clock jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self.now


class _Jumping(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        self._loop.now += max(0.0, timeout or 0.0)
        return super().select(0)


@dataclass
class Peer:
    """One simulated node.

    `intent`: honest, wrong (answer keys), copies, stale, junk, slow, sybil (with copies) or honest_looking (a sybil
    with valid groups of its own).
    """

    name: str
    position: int  # in Kademlia's space of 64 bits here
    address: str
    account: str
    intent: str
    delay: float  # seconds to anybody, one way
    rate: float  # bytes a second upwards
    up: bool = True


@dataclass
class World:
    """All peers, and what each serves in a round."""

    peers: dict[str, Peer]
    tasks: TaskSet
    rng: random.Random
    round: int = 1
    _batches: dict[tuple[str, int], bytes] = field(default_factory=dict)
    _positions: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._positions = sorted((peer.position, peer.name) for peer in self.peers.values())
        self._honest = [peer.name for peer in self.peers.values() if peer.intent == "honest"]

    def view(self, walks: int) -> list[str]:
        """Peers that a node has met: those nearest to as many random ids, as membership's walks find them."""
        met: dict[str, None] = {}
        for _ in range(walks):
            met.update(dict.fromkeys(self.nearest(self.rng.getrandbits(64))))
        return list(met)

    def nearest(self, target: int) -> list[str]:
        """The 20 peers nearest to `target` by exclusive or: they share its longest prefixes."""
        for bits in range(64, -1, -1):
            low = target >> (64 - bits) << (64 - bits) if bits else 0
            high = low + (1 << (64 - bits))
            first = bisect.bisect_left(self._positions, (low, ""))
            last = bisect.bisect_left(self._positions, (high, ""))
            if last - first >= _BUCKET or bits == 0:
                block = sorted(self._positions[first:last], key=lambda entry: entry[0] ^ target)
                return [name for _, name in block[:_BUCKET]]
        return []

    def batch(self, name: str) -> bytes:
        """What `name` serves now, made when it is first asked for."""
        key = (name, self.round)
        if key not in self._batches:
            self._batches[key] = self._make(self.peers[name])
        return self._batches[key]

    def next_round(self, churn: float) -> None:
        """Everybody trains a round; a share of the peers goes away and as many come back."""
        self.round += 1
        self._batches = {key: data for key, data in self._batches.items() if key[1] >= self.round - 1}
        for peer in self.peers.values():
            if self.rng.random() < churn:
                peer.up = not peer.up
            elif not peer.up and self.rng.random() < 0.5:
                peer.up = True

    def _make(self, peer: Peer) -> bytes:
        author = self.rng.choice(self._honest) if peer.intent in ("copies", "sybil") else peer.name
        groups = tuple(self._group(task, peer.intent) for task in self._questions(author))
        age = 3000.0 if peer.intent == "stale" else self.rng.uniform(0.0, ROUND_SECONDS)
        return GroupBatch(self.round, time.time() - age, groups).encode()

    def _questions(self, author: str) -> list[Task]:
        return self.tasks.sample(SWARM, author, self.round, QUESTIONS)

    def _group(self, task: Task, intent: str) -> RolloutGroup:
        key = f"{task.answer}0" if intent == "wrong" else task.answer
        right = self.rng.randrange(1, COMPLETIONS)
        texts = [f"<answer>{key if turn < right else 'no'}</answer>" for turn in range(COMPLETIONS)]
        filler = hashlib.sha256(f"{task.seed}{intent}".encode()).hexdigest() * 8  # so that a payload has the usual size
        completions = tuple(filler + text for text in texts)
        rewards = tuple(float(turn < right) for turn in range(COMPLETIONS))
        return RolloutGroup(task.name, task.seed, task.question, key, completions, rewards)


class Wires:
    """`Transport` of one simulated node: the peers of its view, and fetches that take their time."""

    def __init__(self, world: World, view: list[str], own: str, clock: Callable[[], float]) -> None:
        self._world = world
        self._view = [name for name in view if name != own]
        self._clock = clock
        self._until: dict[str, float] = {}
        self.received = 0
        self.asked: list[str] = []

    def peers(self) -> list[str]:
        """As the daemon's transport: known peers that did not fail a moment ago."""
        now = self._clock()
        return [name for name in self._view if self._until.get(name, 0.0) <= now]

    async def fetch(self, name: str, seconds: float, wait: float = 0.0) -> bytes:
        """The answer of `name` after its delay. Raises FetchFailed."""
        peer = self._world.peers[name]
        self.asked.append(name)
        if not peer.up:  # half refuse at once, half are gone without a trace
            await asyncio.sleep(min(seconds, 2 * peer.delay if self._world.rng.random() < 0.5 else seconds))
            raise self._failed(name, "unreachable")
        data = self._answer(peer)
        needed = 2 * peer.delay + len(data) / peer.rate + (seconds if peer.intent == "slow" else 0.0)
        if needed >= seconds:
            await asyncio.sleep(seconds)
            raise self._failed(name, "timeout")
        await asyncio.sleep(needed)
        self.received += len(data) + _REPLY_OVERHEAD
        return data

    def _answer(self, peer: Peer) -> bytes:
        if peer.intent == "junk":
            return FetchReply(BATCH, 0.0, self._world.rng.randbytes(5000)).encode()
        return FetchReply(BATCH, 0.0, self._world.batch(peer.name)).encode()

    def _failed(self, name: str, reason: str) -> FetchFailed:
        self._until[name] = self._clock() + ROUND_SECONDS
        return FetchFailed(reason)
