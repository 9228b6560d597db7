"""Does a node learn? The worker's own round, alone, on the embedded model, against a frozen policy and two controls.

    python benchmarks/learning.py [--json] [--rounds 100] [--seeds 3] [--trl]

For each seed: the sampled reward of a frozen policy, a run of `Learner.roll_out` and `Learner.train` (what the worker
calls, without network), and for the first `--control-seeds` seeds the same run with learning rate 0 and with the
rewards permuted inside each group. With `--trl` the same run with TRL's trainer too, to compare curve and time. `gains`
and `learned` are the acceptance check; the controls must fail it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

FROZEN_ROUNDS = 60
LAST_ROUNDS = 20
EVALUATED_QUESTIONS = 320
MIN_OWN_GAIN, MIN_HELD_OUT_GAIN = 0.30, 0.15
FROZEN_RANGE = (0.13, 0.22)
KINDS = ("learn", "lr_0", "permuted")
TRL = "learn_trl"


@dataclass(frozen=True)
class Job:
    """One run of one seed, small enough to send to another process."""

    kind: str
    seed: int
    rounds: int


def run(job: Job) -> dict[str, Any]:
    """Figures of one run. Imports torch here, so that each process is one thread from its start."""
    import torch

    torch.set_num_threads(1)
    from swarm_node.backend import Backend
    from swarm_node.device import choose_device
    from swarm_node.hyper import embedded_hyperparameters
    from swarm_node.model import load
    from swarm_node.policy import Policy
    from swarm_node.round import Learner, mean_reward
    from swarm_node.tasks import TaskSet
    from swarm_node.tokens import Prompts
    from swarm_node.train import Trainer

    hyper = embedded_hyperparameters()
    if job.kind in ("frozen", "lr_0"):
        hyper = hyper.model_copy(update={"learning_rate": 0.0})
    device = choose_device("cpu", "float32")
    loaded = load("embedded", device)
    device = device.for_model(loaded.parameters)
    trainer: Backend
    if job.kind == TRL:
        from swarm_node.trl_backend import TrlTrainer

        trainer = TrlTrainer(loaded.model, loaded.tokenizer, hyper, device)
    else:
        trainer = Trainer(loaded.model, hyper, device)
    learner = Learner(
        TaskSet.load("embedded"),
        Policy(loaded.model, loaded.tokenizer, device, hyper),
        trainer,
        Prompts(loaded.tokenizer),
        hyper,
        job.seed,
    )
    shuffle = random.Random(job.seed)

    def permute(rewards: Sequence[float]) -> Sequence[float]:
        return shuffle.sample(rewards, len(rewards))

    def evaluate() -> dict[str, float]:
        both = {"train": learner.evaluate_train, "held_out": learner.evaluate}
        return {
            f"{split}_{'greedy' if greedy else 'sampled'}": reward(EVALUATED_QUESTIONS, job.seed, greedy=greedy)
            for split, reward in both.items()
            for greedy in (False, True)
        }

    started, cpu_started = time.perf_counter(), time.process_time()
    before = evaluate()
    rewards: list[float] = []
    train_cpu = 0.0
    # the frozen policy answers other questions than the runs that are compared with it
    peer = f"frozen-{job.seed}" if job.kind == "frozen" else f"node-{job.seed}"
    for number in range(job.rounds):
        own = learner.roll_out("benchmark", peer, number)
        rewards.append(mean_reward([rollout.rewards for rollout in own]))
        began = time.process_time()
        learner.train(own, [], permute if job.kind == "permuted" else None)
        train_cpu += time.process_time() - began
    return {
        "kind": job.kind,
        "seed": job.seed,
        "rewards": [round(reward, 4) for reward in rewards],
        "own_last": sum(rewards[-LAST_ROUNDS:]) / len(rewards[-LAST_ROUNDS:]),
        "own_mean": sum(rewards) / len(rewards),
        "before": before,
        "after": before if job.kind == "frozen" else evaluate(),
        "train_cpu_seconds": round(train_cpu, 1),
        "optimizer_steps": learner.trainer.optimizer_steps,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu_started, 1),
    }


def gains(result: dict[str, Any], frozen: dict[str, Any]) -> dict[str, float]:
    """What a run gained: own reward of its last rounds over the frozen policy's, held-out (T=1) after over before."""
    return {
        "own": result["own_last"] - frozen["own_mean"],
        "held_out": result["after"]["held_out_sampled"] - result["before"]["held_out_sampled"],
    }


def learned(gain: dict[str, float]) -> bool:
    """The acceptance check, the same for learning runs and controls."""
    return gain["own"] >= MIN_OWN_GAIN and gain["held_out"] >= MIN_HELD_OUT_GAIN


def jobs(rounds: int, seeds: int, control_seeds: int, trl: bool) -> list[Job]:
    """Every run of the benchmark, the long ones first."""
    compared = [Job(TRL, seed, rounds) for seed in range(seeds)] if trl else []
    controlled = range(min(control_seeds, seeds))
    learning = [Job("learn", seed, rounds) for seed in range(seeds)]
    controls = [Job(kind, seed, rounds) for kind in KINDS[1:] for seed in controlled]
    return compared + learning + controls + [Job("frozen", seed, FROZEN_ROUNDS) for seed in range(seeds)]


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "reasoning-gym")},
    }


def measure(rounds: int, seeds: int, control_seeds: int, processes: int, trl: bool) -> dict[str, Any]:
    """All runs in `processes` processes, one thread each, and the verdict on every one."""
    started = time.perf_counter()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        results = list(pool.map(run, jobs(rounds, seeds, control_seeds, trl)))
    frozen = {result["seed"]: result for result in results if result["kind"] == "frozen"}
    for result in results:
        if result["kind"] != "frozen":
            result["gain"] = gains(result, frozen[result["seed"]])
            result["learned"] = learned(result["gain"])
    learned_runs = [result for result in results if result["kind"] == "learn"]
    return {
        "benchmark": "learning",
        "gain_own_min": round(min(result["gain"]["own"] for result in learned_runs), 4),
        "gain_held_out_min": round(min(result["gain"]["held_out"] for result in learned_runs), 4),
        "passed": all(
            result["learned"] is (result["kind"] in ("learn", TRL)) for result in results if "learned" in result
        ),
        "rounds": rounds,
        "seconds": round(time.perf_counter() - started, 1),
        "machine": machine(),
        "runs": results,
    }


def table(report: dict[str, Any]) -> str:
    """The figures for people: rewards before -> after."""
    head = f"{'run':<10}{'seed':>5}{'own reward':>12}{'gain':>7}   {'held-out T=1':<15}{'train T=1':<15}"
    lines = [head + f"{'held-out greedy':<17}{'train greedy':<15}learned"]
    for result in report["runs"]:
        own = result["own_mean"] if result["kind"] == "frozen" else result["own_last"]
        gain = f"{result['gain']['own']:+.3f}" if "gain" in result else ""
        columns = [
            f"{result['before'][name]:.3f} > {result['after'][name]:.3f}"
            for name in ("held_out_sampled", "train_sampled", "held_out_greedy", "train_greedy")
        ]
        cells = f"{columns[0]:<15}{columns[1]:<15}{columns[2]:<17}{columns[3]:<15}{result.get('learned', '')}"
        lines.append(f"{result['kind']:<10}{result['seed']:>5}{own:>12.3f}{gain:>7}   {cells}")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Does a node learn? See docs/learning.md.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--control-seeds", type=int, help="seeds that the two controls run with (default: all)")
    parser.add_argument("--trl", action="store_true", help="also with TRL's trainer, to compare curve and time")
    parser.add_argument("--processes", type=int, default=min(2, len(os.sched_getaffinity(0))))
    options = parser.parse_args()
    control_seeds = options.seeds if options.control_seeds is None else options.control_seeds
    report = measure(options.rounds, options.seeds, control_seeds, options.processes, options.trl)
    print(table(report), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
