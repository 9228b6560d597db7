"""Both trainers on a CUDA machine: the 0.5B shape at 9×8@256 in bfloat16, wall time, a whole round.

    python benchmarks/gpu.py [--json]                             # on a GPU, with genrl's environment
    python benchmarks/gpu.py --shape small --without-genrl        # anywhere, to see that it runs

genrl runs as it ships (float32) and in bfloat16. `update_mfu` is the update's least products over what the GPU could
have multiplied meanwhile, `decode_share` the least time of a step over ours (`contenders/limits.py`). Without a GPU the
same commands run on the CPU and the figures say nothing about one.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from contenders import limits
from contenders.driver import ROOT, Process, genrl_python
from contenders.workload import SHAPES, Workload, model_directory, reward
from learning import machine


def measure(
    shape: str, questions: int, generations: int, tokens: int, cache: Path, pairs: int, genrl: bool
) -> dict[str, Any]:
    """Seconds of each part for each contender, the best of `pairs`, and the ratios."""
    directory = str(model_directory(cache, shape))
    work = Workload(cache)
    prompts = work.prompts(questions)
    count = questions * generations
    texts = work.texts([tokens] * count)
    groups = [texts[start : start + generations] for start in range(0, count, generations)]
    asked: dict[str, Any] = {"prompts": prompts, "generations": generations, "passes": generations}
    training = {"prompts": prompts, "texts": groups, "rewards": [[reward(text) for text in group] for group in groups]}

    def one(process: Process) -> dict[str, float]:
        first = process.ask("generate", **asked, lengths=[1] * count)["wall"]
        whole = process.ask("generate", **asked, lengths=[tokens] * count)["wall"]
        trained = process.ask("train", **training)
        return {
            "prefill": first,
            "generate": whole,
            "update": trained["wall"],
            "round": whole + trained["wall"],
            "gpu_peak": float(trained.get("gpu_peak", 0)),
        }

    contenders = [("ours_bfloat16", "ours", sys.executable, "bfloat16")]
    if genrl:
        python = str(genrl_python())
        contenders += [
            ("genrl_float32", "upstream", python, "float32"),
            ("genrl_bfloat16", "upstream", python, "bfloat16"),
        ]
    best: dict[str, dict[str, float]] = {}
    for name, script, interpreter, precision in contenders:  # one after the other: a GPU holds one at a time
        with Process(script, interpreter, torch.get_num_threads()) as process:
            process.ask("load", directory=directory, precision=precision)
            process.ask("generate", **asked, lengths=[4] * count)
            process.ask("train", **training)
            runs = [one(process) for _ in range(pairs)]
        best[name] = {part: round(min(run[part] for run in runs), 4) for part in runs[0]}
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bound = limits.measure(device)
    ours = best["ours_bfloat16"]
    lengths = [work.prompt_tokens(one) for one in prompts]
    update = limits.update_seconds(SHAPES[shape], lengths, [[tokens] * generations] * questions, "bfloat16", bound)
    step = (ours["generate"] - ours["prefill"]) / max(1, tokens - 1)
    least = limits.decode_seconds(SHAPES[shape], count, max(lengths) + tokens // 2, "bfloat16", bound)
    return {
        "seconds": best,
        "ratios": {
            f"{part}_over_{name}": round(values[part] / ours[part], 2)
            for name, values in best.items()
            if name != "ours_bfloat16"
            for part in ("generate", "update", "round")
        },
        "update_mfu": round(update / ours["update"], 3),
        "decode_share": round(least / step, 3),
        "limits": {name: round(value / 1e9, 1) for name, value in vars(bound).items()},
        "goals": {
            "round_over_genrl_float32": 12,
            "round_over_genrl_bfloat16": 5,
            "update_mfu": 0.35,
            "decode_share": 0.30,
        },
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Our trainer against genrl 0.1.11's on a GPU. See docs/trainer.md.")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--shape", choices=SHAPES, default="half")
    parser.add_argument("--questions", type=int, default=9)
    parser.add_argument("--generations", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=256)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--without-genrl", action="store_true", help="ours only")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "benchmark", help="models and tokenizer")
    options = parser.parse_args()
    started = time.perf_counter()
    figures = measure(
        options.shape,
        options.questions,
        options.generations,
        options.tokens,
        options.cache,
        options.pairs,
        not options.without_genrl,
    )
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    report = {
        "benchmark": "gpu",
        "shape": options.shape,
        "work": f"{options.questions}x{options.generations}@{options.tokens}",
        "seconds_total": round(time.perf_counter() - started, 1),
        "machine": machine() | {"gpu": gpu, "genrl": "0.1.11", "swarm": version("rl-swarm")},
        **figures,
    }
    if not options.json:
        print(json.dumps(report, indent=2))
    else:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
