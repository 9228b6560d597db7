"""Does sharing help? N nodes exchange their groups round after round, through the product's own sampler and trainer.

    python benchmarks/sharing.py [--json] [--levels sparse rare] [--out build/sharing] [--stop-after SECONDS]

A configuration "4/4" answers four own questions a round and draws four groups of the others (8 completions each):
`Learner.roll_out`, `sampler.verify`, `sampler.draw` and `Learner.train`, as the worker calls them, without the network.
All nodes begin with the same weights, which are right once in several hundred completions. Counted are own completions
only: the sum over rounds of the sum over nodes of the mean own reward. Controls: rewards of external groups permuted,
external groups unfiltered, half of the generation without sharing (4/0).

Every finished run is a file, so a run that was stopped goes on. Works with `sharing_checkpoint` and `sharing_figures`.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from learning import machine
from sharing_checkpoint import LEVELS, hyperparameters, ready

NODES, ROUNDS, SEEDS, RARE_SEEDS = 8, 100, 3, 5
MIN_GAIN, MAX_PERMUTED, MIN_EXTERNAL = 1.15, 0.6, 2.0  # what `verdict` asks of the sparse level
START = (0.0010, 0.0025)  # starting reward of the sparse level
KINDS = ("shared", "permuted", "unfiltered")


@dataclass(frozen=True)
class Job:
    """One run: `own`/`external` groups a node and round, of one level and seed."""

    level: str
    own: int
    external: int
    kind: str
    seed: int
    rounds: int = ROUNDS
    nodes: int = NODES

    @property
    def config(self) -> str:
        return f"{self.own}/{self.external}" + ("" if self.kind == "shared" else f" {self.kind}")

    @property
    def file(self) -> str:
        return f"{self.level}-{self.own}-{self.external}-{self.kind}-{self.seed}-{self.nodes}x{self.rounds}.json"


class Swarm:
    """N learners and the groups they offered this round."""

    def __init__(self, job: Job, checkpoint: Path) -> None:
        import torch

        torch.set_num_threads(1)
        from swarm_node.device import choose_device
        from swarm_node.model import load
        from swarm_node.policy import Policy
        from swarm_node.rewards import score_group
        from swarm_node.round import Learner
        from swarm_node.sampler import SeenGroups
        from swarm_node.screening import CopyFinder
        from swarm_node.tasks import TaskSet
        from swarm_node.tokens import Prompts
        from swarm_node.train import Trainer

        self.job = job
        hyper = hyperparameters().model_copy(update={"num_questions": job.own, "num_external": job.external})
        tasks = TaskSet.load("embedded")
        self.learners: list[Learner] = []
        for _ in range(job.nodes):
            device = choose_device("cpu", "float32")
            loaded = load(str(checkpoint), device)
            device = device.for_model(loaded.parameters)
            policy = Policy(loaded.model, loaded.tokenizer, device, hyper)
            trainer = Trainer(loaded.model, hyper, device)
            self.learners.append(Learner(tasks, policy, trainer, Prompts(loaded.tokenizer), hyper, job.seed))
        self.peers = [f"node-{number}" for number in range(job.nodes)]
        self.seen = [SeenGroups() for _ in self.peers]
        self.shuffle = random.Random(f"permute/{job.seed}")
        self.copies = [CopyFinder() for _ in self.peers]
        # seven receivers verify and score the same group alike: the product's functions, asked once a round
        self.recompute = lru_cache(maxsize=4096)(tasks.recompute)
        self._score = lru_cache(maxsize=4096)(
            lambda name, seed, texts: tuple(score_group(tasks.make(name, seed), list(texts)))
        )

    def score(self, task: Any, completions: Sequence[str]) -> list[float]:
        """`score_group`, remembered."""
        return list(self._score(task.name, task.seed, tuple(completions)))

    def round(self, number: int) -> dict[str, float]:
        """One round of every node; what is worth keeping of it, as means or sums over nodes."""
        from swarm_node.exchange import ExternalGroup
        from swarm_node.round import mean_reward

        job = self.job
        own = [
            learner.roll_out(f"sharing-{job.seed}", peer, number)
            for learner, peer in zip(self.learners, self.peers, strict=True)
        ]
        offered = [
            ExternalGroup(peer, 0.0, rollout.as_group(), number)
            for peer, rollouts in zip(self.peers, own, strict=True)
            for rollout in rollouts
            if rollout.informative or job.kind == "unfiltered"
        ]
        used = informative = 0
        batch_rewards = []
        for place, learner in enumerate(self.learners):
            external = self.external(place, offered, number)
            learner.train(own[place], external)
            used += len(external)
            rewards = [rollout.rewards for rollout in own[place]] + [list(group.rewards) for group in external]
            informative += sum(max(values) > min(values) for values in rewards)
            batch_rewards.append(mean_reward(rewards))
        return {
            "own": sum(mean_reward([rollout.rewards for rollout in rollouts]) for rollouts in own),
            "batch": sum(batch_rewards),
            "external": used / job.nodes,
            "informative": informative / job.nodes,
        }

    def external(self, place: int, offered: Sequence[Any], number: int) -> list[Any]:
        """J groups for the node at `place`, by the product's sampler; a control changes one thing."""
        from swarm_node.sampler import ScoredGroup, draw, verify

        job, peer = self.job, self.peers[place]
        if job.external == 0:
            return []
        if job.kind == "unfiltered":
            others = [group for group in offered if group.peer_id != peer]
            pool = []
            for other in others:
                group = other.group
                task = self.recompute(group.task, group.seed)
                assert task is not None
                rewards = tuple(self.score(task, group.completions))
                pool.append(ScoredGroup(other.peer_id, group.digest(), task, group.completions, rewards))
        else:
            is_copy = self.copies[place].is_copy
            pool, _ = verify(offered, peer, self.seen[place], self, self.score, is_copy, lambda *_: None)
        drawn = draw(pool, job.external, random.Random(f"{job.seed}/{peer}/{number}"))
        self.seen[place].add([group.sha256 for group in drawn])
        if job.kind == "permuted":
            drawn = [replace(g, rewards=tuple(self.shuffle.sample(g.rewards, len(g.rewards)))) for g in drawn]
        return drawn


def run(job: Job, directory: Path) -> dict[str, Any]:
    """The result of `job`, from its file or computed now."""
    path = directory / job.file
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    started, cpu = time.perf_counter(), time.process_time()
    swarm = Swarm(job, directory / job.level)
    rounds = [swarm.round(number) for number in range(job.rounds)]
    series = {name: [round(entry[name], 5) for entry in rounds] for name in rounds[0]}
    result = {
        **asdict(job),
        "config": job.config,
        "cumulative": sum(series["own"]),
        "external_used": sum(series["external"]) / job.rounds,
        "batch_cumulative": sum(series["batch"]),
        "series": series,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps(result))
    temporary.rename(path)
    print(f"{job.level} {job.config} seed {job.seed}: {result['cumulative']:.1f}", file=sys.stderr, flush=True)
    return result


def jobs(levels: Sequence[str], rounds: int, nodes: int) -> list[Job]:
    """Every run, those the verdict needs first."""

    def several(level: str, own: int, external: int, seeds: int, kind: str = "shared") -> list[Job]:
        return [Job(level, own, external, kind, seed, rounds, nodes) for seed in range(seeds)]

    wanted: list[Job] = []
    if "sparse" in levels:
        wanted += several("sparse", 8, 0, SEEDS) + several("sparse", 4, 4, SEEDS)
        wanted += several("sparse", 4, 4, SEEDS, "permuted") + several("sparse", 4, 4, SEEDS, "unfiltered")
        wanted += several("sparse", 6, 2, SEEDS) + several("sparse", 2, 6, SEEDS) + several("sparse", 4, 0, SEEDS)
    if "rare" in levels:
        wanted += several("rare", 8, 0, RARE_SEEDS) + several("rare", 4, 4, RARE_SEEDS)
        wanted += several("rare", 6, 2, SEEDS) + several("rare", 2, 6, SEEDS)
    return wanted


def compare(results: Sequence[dict[str, Any]], level: str, config: str) -> dict[str, Any]:
    """`config` against 8/0 of the same seeds: ratios of what was earned, their geometric mean, wins."""
    ours = {r["seed"]: r for r in results if (r["level"], r["config"]) == (level, config)}
    base = {r["seed"]: r for r in results if (r["level"], r["config"]) == (level, "8/0")}
    seeds = sorted(ours.keys() & base.keys())
    ratios = [ours[seed]["cumulative"] / base[seed]["cumulative"] for seed in seeds if base[seed]["cumulative"]]
    return {
        "runs": len(ours),
        "cumulative": [round(ours[seed]["cumulative"], 2) for seed in sorted(ours)],
        "external_used": round(sum(r["external_used"] for r in ours.values()) / len(ours), 2) if ours else 0.0,
        "ratios": [round(ratio, 3) for ratio in ratios],
        "geometric_mean": round(math.exp(sum(map(math.log, ratios)) / len(ratios)), 3) if ratios else None,
        "wins": sum(ratio > 1 for ratio in ratios),
    }


def verdict(table: dict[str, dict[str, Any]], start: float, completions: int) -> dict[str, bool]:
    """The checks of the sparse level; every one must hold."""
    shared, permuted, unfiltered = (table[name] for name in ("4/4", "4/4 permuted", "4/4 unfiltered"))
    pairs = zip(unfiltered["cumulative"], shared["cumulative"], strict=False)
    return {
        "start_reward": START[0] <= start <= START[1] and completions >= 20_000,
        "sharing_wins_every_seed": len(shared["ratios"]) >= SEEDS and shared["wins"] == len(shared["ratios"]),
        "sharing_gain": (shared["geometric_mean"] or 0) >= MIN_GAIN,
        "permuted_ruins": bool(permuted["ratios"]) and max(permuted["ratios"]) <= MAX_PERMUTED,
        "filter_matters": bool(unfiltered["ratios"]) and all(without < having for without, having in pairs),
        "groups_exchanged": shared["external_used"] >= MIN_EXTERNAL,
    }


def report(results: Sequence[dict[str, Any]], directory: Path) -> dict[str, Any]:
    """Tables by level, with the verdict where all runs of the sparse level are there."""
    made: dict[str, Any] = {"benchmark": "sharing", "machine": machine(), "levels": {}}
    for level in sorted({result["level"] for result in results}):
        about = ready(directory / level, level)
        names = sorted({r["config"] for r in results if r["level"] == level})
        table = {name: compare(results, level, name) for name in names}
        made["levels"][level] = {"checkpoint": about, "configurations": table}
        if level == "sparse" and {"8/0", "4/4", "4/4 permuted", "4/4 unfiltered"} <= set(names):
            made["checks"] = verdict(table, about["start_reward"], about["completions"])
            made["passed"] = all(made["checks"].values())
    made["cpu_seconds"] = round(sum(result["cpu_seconds"] for result in results), 1)
    return made


def main() -> None:
    """Command line. Ends with 0 unless a check fails (1) or runs are left over (3)."""
    parser = argparse.ArgumentParser(description="Does sharing help? See docs/sharing.md.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--levels", nargs="+", choices=sorted(LEVELS), default=["sparse"])
    parser.add_argument("--out", type=Path, default=Path("build/sharing"), help="results and checkpoints; resumed")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--nodes", type=int, default=NODES)
    parser.add_argument("--processes", type=int, default=min(2, len(os.sched_getaffinity(0))))
    parser.add_argument("--stop-after", type=float, default=math.inf, help="seconds after which no run is begun")
    parser.add_argument("--only", nargs="+", help="configurations to run, such as 8/0 '4/4 permuted'")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for level in options.levels:
        ready(options.out / level, level)
    wanted = [
        job
        for job in jobs(options.levels, options.rounds, options.nodes)
        if not options.only or job.config in options.only
    ]
    results = work(wanted, options.out, options.processes, options.stop_after)
    made = report(results, options.out)
    made["runs_left"] = len(wanted) - len(results)
    text = json.dumps(made, indent=None if options.json else 2)
    print(text)
    raise SystemExit(3 if made["runs_left"] else 0 if made.get("passed", True) else 1)


def work(wanted: Sequence[Job], directory: Path, processes: int, stop_after: float) -> list[dict[str, Any]]:
    """Results of `wanted`, in order; those not begun after `stop_after` seconds are left out."""
    end = time.monotonic() + stop_after
    results: dict[Job, dict[str, Any]] = {job: run(job, directory) for job in wanted if (directory / job.file).exists()}
    left = [job for job in wanted if job not in results]
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        while left and time.monotonic() < end:
            now, left = left[:processes], left[processes:]
            results.update(zip(now, pool.map(run, now, [directory] * len(now)), strict=True))
    return [results[job] for job in wanted if job in results]


if __name__ == "__main__":
    main()
