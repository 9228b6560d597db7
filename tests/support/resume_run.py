"""A worker that is killed at random moments, against one that is not: what both did, round by round.

Real `swarm-node` processes on the embedded model; a chain that never makes them wait; a stand-in for the daemon that
offers every run the same groups of other peers, so that what was already used matters after a restart.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.fast_chain import COORDINATOR, FastChain
from tests.support.stub_daemon import StubDaemon

from swarm_chain.settings import DEFAULT_CHAIN_ID
from swarm_core.records import GroupBatch, RolloutGroup
from swarm_node.tasks import TaskSet

ROOT = Path(__file__).parents[2]
OTHER = "QmNLei78zWmzUdbeRB3CiUfAizWUrbeeZh5K1rhAQKCh51"
GROUPS_IN_A_BATCH = 16
# what must be equal in both runs; times and chain rounds may differ
COMPARED = (
    "own_reward", "batch_reward", "held_out_reward", "loss", "grad_norm", "groups_trained", "external",
    "optimizer_step", "completion_tokens", "weights_sha256",
)  # fmt: skip


@dataclass
class Trajectory:
    """Finished rounds in the order they were finished, cut at every kill."""

    lives: list[list[dict[str, Any]]] = field(default_factory=list)

    def rounds(self) -> dict[int, dict[str, Any]]:
        """What each round did. AssertionError when a round that was done twice did another thing."""
        found: dict[int, dict[str, Any]] = {}
        for record in (record for life in self.lives for record in life):
            kept = {name: record[name] for name in COMPARED}
            assert found.setdefault(record["training_round"], kept) == kept, record["training_round"]
        return found


def foreign_groups(count: int) -> list[tuple[str, float, bytes]]:
    """Answers of another peer that can teach: the right one among wrong ones."""
    rounds = range(-(-count // GROUPS_IN_A_BATCH))
    tasks = TaskSet.load("embedded")
    return [(OTHER, 1.0, _batch(tasks, number).encode()) for number in rounds]


def _batch(tasks: TaskSet, number: int) -> GroupBatch:
    """Questions that are the other peer's own in that round."""
    groups = [
        RolloutGroup(
            task.name,
            task.seed,
            task.question,
            task.answer,
            (f"<answer>{task.answer or task.entry['metadata'].get('example_answer')}</answer>", *["no"] * 7),
            (1.0, *[0.0] * 7),
        )
        for task in tasks.sample(str(DEFAULT_CHAIN_ID), OTHER, number, GROUPS_IN_A_BATCH)
    ]
    return GroupBatch(number, time.time(), groups)


def run(directory: Path, rounds: int, kills: list[float], foreign: int, seconds: float) -> Trajectory:
    """Train until `rounds` are done, with a SIGKILL `kills[i] % 1` seconds after round `int(kills[i])` ended."""
    run_dir, state_dir = directory / "run", directory / "state"
    for path in (run_dir, state_dir):
        path.mkdir(parents=True)
    history, log = state_dir / "history.jsonl", directory / "log.txt"
    trajectory, end = Trajectory(), time.monotonic() + seconds
    with FastChain() as chain, StubDaemon(run_dir / "dht.sock") as daemon:
        daemon.batches = foreign_groups(foreign)
        variables = environment(directory, chain.url)
        for kill in [*kills, float(rounds)]:
            known = len(records_of(history))
            with log.open("a") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", "swarm_node.main"], env=variables, stderr=file, cwd=ROOT
                )
            try:
                while not any(record["training_round"] >= int(kill) - 1 for record in records_of(history)):
                    assert process.poll() is None, log.read_text()[-3000:]
                    assert time.monotonic() < end, log.read_text()[-3000:]
                    time.sleep(0.05)  # between two polls with a deadline
                time.sleep(kill % 1)  # the random moment
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait(timeout=20)
            trajectory.lives.append(records_of(history)[known:])
    return trajectory


def moments(kills: int, rounds: int, seed: int) -> list[float]:
    """Random moments of a run, in order, at least one round apart."""
    rng = random.Random(seed)
    chosen = sorted(rng.sample(range(1, rounds), kills))
    return [number + rng.uniform(0.0, 0.95) for number in chosen]


def check(killed: Trajectory, whole: Trajectory, rounds: int, kills: int) -> None:
    """The trajectories are equal bit for bit, and no kill cost more than the round it fell into."""
    ours, theirs = killed.rounds(), whole.rounds()
    wanted = set(range(rounds))
    # a kill between checkpoint and history loses the line of a round, not the round
    assert len(wanted - ours.keys()) <= kills
    assert wanted <= theirs.keys()
    for number in sorted(wanted & ours.keys()):
        assert ours[number] == theirs[number], number
    assert all(entry["weights_sha256"] for entry in theirs.values())
    lives = [life for life in killed.lives if life]
    for before, after in itertools.pairwise(lives):
        assert 1 <= after[0]["training_round"] - before[-1]["training_round"] <= 2


def records_of(history: Path) -> list[dict[str, Any]]:
    """The finished rounds in a worker's history file."""
    if not history.exists():
        return []
    lines = history.read_text().splitlines()
    records = []
    for line in lines:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue  # torn by a kill, or being written
    return records


def environment(directory: Path, rpc_url: str) -> dict[str, str]:
    """Of a worker whose daemon listens below `directory`; nobody takes its rewards."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("services", "node")),
        "OMP_NUM_THREADS": "1",
        "SWARM_RUN_DIR": str(directory / "run"),
        "SWARM_STATE_DIR": str(directory / "state"),
        "SWARM_RPC_URL": rpc_url,
        "SWARM_COORDINATOR": COORDINATOR,
        "SWARM_LOGIN_URL": "http://127.0.0.1:9",  # nobody listens there
        "SWARM_API_TOKEN_FILE": str(directory / "token"),
        "SWARM_DEVICE": "cpu",
        "SWARM_EVAL_STEPS": "10",
        "SWARM_EXCHANGE_SECONDS": "2",
    }
