"""Our trainer against gensyn-genrl 0.1.11's, on the same weights, prompts and token counts, on a CPU.

    python benchmarks/trainer.py [--json] [--rows ROW ...] [--pairs 5]

Installs genrl from `locks/genrl.txt` into an environment of its own (once), makes random models and a tokenizer, and
measures both trainers in turn: one thread each, process CPU time, median of the pairs' ratios. genrl runs as it ships,
in float32. Generation of the 0.5B shape is prefill plus 32 decode steps, extrapolated to 256 and marked so.
`share_of_limit` is the machine's least time for the work (`contenders/limits.py`, measured in the same run) over ours.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from contenders import limits
from contenders.driver import ROOT, Process, genrl_python, interleave
from contenders.workload import SHAPES, Workload, model_directory, reward, uneven
from learning import machine

STEPS = 32  # decode steps that generation of the 0.5B shape is extrapolated from
MEMORY_GOAL = 13e9


@dataclass(frozen=True)
class Row:
    """A line of the table: which work, ours in which precision, the goal for the ratio."""

    work: str  # generate, update, round, memory
    shape: str
    questions: int
    generations: int
    tokens: int
    precision: str
    goal: float
    needs_amx: bool = False
    even: bool = False


ROWS = {
    "tiny_2x2_generate": Row("generate", "tiny", 2, 2, 256, "float32", 2.4),
    "tiny_9x8_generate": Row("generate", "tiny", 9, 8, 256, "float32", 7),
    "half_2x2_generate_bf16": Row("generate", "half", 2, 2, 256, "bfloat16", 3, needs_amx=True),
    "half_9x8_generate_bf16": Row("generate", "half", 9, 8, 256, "bfloat16", 15, needs_amx=True),
    "half_2x2_generate": Row("generate", "half", 2, 2, 256, "float32", 0),
    "half_9x8_generate": Row("generate", "half", 9, 8, 256, "float32", 0),
    "tiny_9x8_update": Row("update", "tiny", 9, 8, 256, "float32", 6),
    "tiny_9x8_update_bf16": Row("update", "tiny", 9, 8, 256, "bfloat16", 8, needs_amx=True),
    "half_2x2_update": Row("update", "half", 2, 2, 64, "float32", 2.1, even=True),
    "half_2x2_update_bf16": Row("update", "half", 2, 2, 64, "bfloat16", 3.6, needs_amx=True, even=True),
    "half_1x8_update_bf16": Row("update", "half", 1, 8, 64, "bfloat16", 4.6, needs_amx=True, even=True),
    "half_1x8_update": Row("update", "half", 1, 8, 64, "float32", 0, even=True),
    "tiny_9x8_round": Row("round", "tiny", 9, 8, 256, "float32", 6.5),
    "half_9x8_memory": Row("memory", "half", 9, 8, 256, "auto", 0),
}


class Bench:
    """Measures rows with two live contenders at a time."""

    def __init__(self, cache: Path, pairs: int) -> None:
        self._cache = cache
        self._pairs = pairs
        for name in ("tiny", "half"):
            model_directory(cache, name)
        self._work = Workload(cache)
        torch.set_num_threads(1)
        self.limits = limits.measure(torch.device("cpu"))

    def row(self, row: Row) -> dict[str, Any]:
        """One line of the table."""
        directory = str(model_directory(self._cache, row.shape))
        if row.work == "memory":
            return self._memory(row, directory)
        with Process("upstream", genrl_python(), 1) as theirs, Process("ours", sys.executable, 1) as ours:
            theirs.ask("load", directory=directory, precision="float32")
            ours.ask("load", directory=directory, precision=row.precision)
            measure = {"generate": self._generate, "update": self._update, "round": self._round}[row.work]
            result = measure(row, theirs, ours)
        result["goal"] = row.goal
        result["reached"] = result["ratio"] >= 0.9 * row.goal
        if row.needs_amx:
            result["required"] = has_amx()
        return result

    def _generate(self, row: Row, theirs: Process, ours: Process) -> dict[str, Any]:
        prompts = self._work.prompts(row.questions)
        count = row.questions * row.generations
        full = row.shape != "half"
        lengths = uneven(count, row.tokens) if full else [1 + STEPS] * count
        for process in (theirs, ours):  # first calls pay for page faults and lazy imports
            process.ask("generate", prompts=prompts[:1], generations=2, lengths=[4, 4], passes=2)

        def whole(process: Process) -> float:
            asked = {"prompts": prompts, "generations": row.generations, "lengths": lengths}
            return float(process.ask("generate", **asked, passes=row.generations)["cpu"])

        costs: list[tuple[float, float]] = []

        def extrapolated(process: Process) -> float:
            asked: dict[str, Any] = {"prompts": prompts, "generations": row.generations, "passes": 1}
            first = process.ask("generate", **asked, lengths=[1] * count)["cpu"]
            rest = process.ask("generate", **asked, lengths=lengths)["cpu"]
            passes = row.generations if process is theirs else 1  # genrl's passes are identical: one is measured
            step = (rest - first) / STEPS
            if process is ours:
                costs.append((first, step))
            return float(passes * (first + (row.tokens - 1) * step))

        result = interleave(theirs, ours, whole if full else extrapolated, self._pairs)
        if not full:
            step = sorted(cost[1] for cost in costs)[len(costs) // 2]
            context = max(self._work.prompt_tokens(one) for one in prompts) + STEPS // 2
            least = limits.decode_seconds(SHAPES[row.shape], count, context, row.precision, self.limits)
            result |= {"extrapolated": True, "step_seconds": round(step, 4), "share_of_limit": round(least / step, 3)}
        return result

    def _update(self, row: Row, theirs: Process, ours: Process) -> dict[str, Any]:
        work = self._training(row)
        self._warm_up(theirs, ours)
        result = interleave(theirs, ours, lambda process: float(process.ask("train", **work)["cpu"]), self._pairs)
        return result | {"share_of_limit": round(self._update_limit(row, work) / result["ours"], 3)}

    def _round(self, row: Row, theirs: Process, ours: Process) -> dict[str, Any]:
        """Generate, score, update. The update trains on texts of the sampled lengths: random weights sample noise."""
        work = self._training(row)
        lengths = uneven(row.questions * row.generations, row.tokens)
        self._warm_up(theirs, ours)

        def sample(process: Process) -> float:
            asked = {"prompts": work["prompts"], "generations": row.generations, "lengths": lengths}
            cpu = float(process.ask("generate", **asked, passes=row.generations)["cpu"])
            start = time.process_time()
            rewards = [[reward(text) for text in group] for group in work["texts"]]
            cpu += time.process_time() - start
            return cpu + float(process.ask("train", **(work | {"rewards": rewards}))["cpu"])

        return interleave(theirs, ours, sample, self._pairs)

    def _memory(self, row: Row, directory: str) -> dict[str, Any]:
        """Peak of our whole round with the optimiser's state there; genrl would need about 50 GB and is not started."""
        work = self._training(row)
        count = row.questions * row.generations
        with Process("ours", sys.executable, torch.get_num_threads()) as ours:
            ours.ask("load", directory=directory, precision="auto")
            self._warm_up(ours)
            asked = {"prompts": work["prompts"], "generations": row.generations, "lengths": [row.tokens] * count}
            generated = ours.ask("generate", **asked, passes=1)
            trained = ours.ask("train", **work)
        peak = max(generated["peak"], trained["peak"])
        seconds = {"generate_seconds": generated["wall"], "update_seconds": trained["wall"]}
        return {
            "peak_bytes": peak,
            "generate_peak_bytes": generated["peak"],
            "update_peak_bytes": trained["peak"],
            **{name: round(value, 1) for name, value in seconds.items()},
            "goal": MEMORY_GOAL,
            "reached": peak <= MEMORY_GOAL,
        }

    def _training(self, row: Row) -> dict[str, Any]:
        count = row.questions * row.generations
        lengths = [row.tokens] * count if row.even or row.work == "memory" else uneven(count, row.tokens)
        texts = self._work.texts(lengths)
        groups = [texts[start : start + row.generations] for start in range(0, count, row.generations)]
        return {
            "prompts": self._work.prompts(row.questions),
            "texts": groups,
            "rewards": [[reward(text) for text in group] for group in groups],
        }

    def _warm_up(self, *processes: Process) -> None:
        """A small step, which creates the optimiser's state."""
        texts = self._work.texts([4, 8])
        for process in processes:
            process.ask("train", prompts=self._work.prompts(1), texts=[texts], rewards=[[0.0, 1.0]])

    def _update_limit(self, row: Row, work: dict[str, Any]) -> float:
        prompts = [self._work.prompt_tokens(one) for one in work["prompts"]]
        completions = [[self._work.text_tokens(text) for text in group] for group in work["texts"]]
        return limits.update_seconds(SHAPES[row.shape], prompts, completions, row.precision, self.limits)


def has_amx() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in tiles."""
    return "amx_bf16" in Path("/proc/cpuinfo").read_text()


def table(results: dict[str, dict[str, Any]]) -> str:
    """The figures for people."""
    lines = [f"{'row':<26}{'genrl s':>10}{'ours s':>10}{'ratio':>8}{'goal':>7}{'limit':>8}  reached"]
    for name, result in results.items():
        if "peak_bytes" in result:
            lines.append(f"{name:<26}{result['peak_bytes'] / 1e9:>35.2f} GB  {result['reached']}")
            continue
        share = f"{result['share_of_limit']:.0%}" if "share_of_limit" in result else ""
        note = " (AMX only)" if not result.get("required", True) else ""
        numbers = f"{result['genrl']:>10.2f}{result['ours']:>10.2f}{result['ratio']:>8.2f}{result['goal']:>7.1f}"
        lines.append(f"{name:<26}{numbers}{share:>8}  {result['reached']}{note}")
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Our trainer against genrl 0.1.11's. See docs/trainer.md.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), help="default: all")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "benchmark", help="models and tokenizer")
    options = parser.parse_args()
    started = time.perf_counter()
    bench = Bench(options.cache, options.pairs)
    results = {}
    for name in options.rows:
        results[name] = bench.row(ROWS[name])
        print(table({name: results[name]}).splitlines()[-1], file=sys.stderr)
    report = {
        "benchmark": "trainer",
        "seconds": round(time.perf_counter() - started, 1),
        "machine": machine() | {"amx": has_amx(), "genrl": "0.1.11", "swarm": version("rl-swarm")},
        "limits": {name: round(value / 1e9, 1) for name, value in vars(bench.limits).items()},
        "rows": results,
    }
    print(table(results), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
