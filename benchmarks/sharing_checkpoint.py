"""Makes the starting weights of `sharing.py`: a 0.19 M network that is right once in several hundred completions.

    python benchmarks/sharing_checkpoint.py --level sparse --out build/sharing/sparse

One clean base (right, tagged answers), then a headroom phase whose targets seldom carry the tags: the network keeps
what it knows and hardly ever says it in the form that is scored. The share of tagged targets is the dial of the
starting reward; it is turned until the reward, measured over `MEASURED` completions, lies in the level's range.
Works with the product's own warm-up (`swarm_node.models.warmup`), tasks and policy.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from swarm_node.device import choose_device
from swarm_node.hyper import Hyperparameters, embedded_hyperparameters
from swarm_node.models import embedded_directory
from swarm_node.models.make_embedded import build_model
from swarm_node.models.warmup import Pool, Question, WarmupConfig, collect, warm_up
from swarm_node.policy import Policy
from swarm_node.rewards import score_group
from swarm_node.tasks import TaskSet
from swarm_node.tokens import Prompts

MEASURED = 20_480  # completions
MAX_TOKENS = 12
PARTS = 2  # of the clean phase
TURNS = 8  # of the dial, before giving up
CARD = "checkpoint.json"


@dataclass(frozen=True)
class Level:
    """A starting reward: accepted range, aim and where the dial stands first (share of tagged targets)."""

    low: float
    high: float
    aim: float
    tagged: float


LEVELS = {
    "sparse": Level(0.0010, 0.0019, 0.0014, 0.044),
    "rare": Level(0.000001, 0.0003, 0.00005, 0.002),
}


def small_config(tokenizer: Any) -> Qwen2Config:
    """Shape of the network: hidden 64, three layers; its vocabulary is the embedded model's."""
    config: Qwen2Config = build_model(tokenizer).config
    return Qwen2Config(
        **{
            **config.to_dict(),
            "hidden_size": 64,
            "intermediate_size": 192,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "layer_types": None,
            "head_dim": 16,
        }
    )


def hyperparameters() -> Hyperparameters:
    """The embedded preset with the recipe's shorter answers."""
    return embedded_hyperparameters().model_copy(update={"max_completion_length": MAX_TOKENS})


def measure(model: Any, tokenizer: Any, tasks: TaskSet, completions: int = MEASURED) -> float:
    """Mean reward at temperature 1 on questions of the training side, eight completions each."""
    device = choose_device("cpu", "float32").for_model(model.num_parameters())
    policy, prompts = Policy(model, tokenizer, device, hyperparameters()), Prompts(tokenizer)
    generator = torch.Generator().manual_seed(20_000)
    total = 0.0
    for part in range(completions // 1024):
        questions = tasks.sample("measure", "", part, 128)
        groups = policy.generate([prompts.encode(task.question) for task in questions], 8, generator)
        for task, group in zip(questions, groups, strict=True):
            total += sum(score_group(task, [completion.text for completion in group]))
    return total / (completions // 1024 * 1024)


def clean(encode: Any, tokenizer: Any, pool: Pool, steps: int, seed: int, cache: Path) -> Qwen2ForCausalLM:
    """The clean base: `PARTS` times `steps` steps with a fresh learning-rate schedule each, every part kept on disk."""
    base = Qwen2ForCausalLM(small_config(tokenizer))
    base.generation_config.eos_token_id = tokenizer.eos_token_id
    for part in range(PARTS):
        kept = cache / f"part-{part}"
        if (kept / "config.json").exists():
            base = Qwen2ForCausalLM.from_pretrained(kept)
            continue
        torch.manual_seed(seed + part)
        warm_up(base, encode, pool, WarmupConfig(steps=steps, headroom=0.0, seed=seed + 10 * part), say)
        base.save_pretrained(kept)
    return base


def next_dial(known: dict[float, float], level: Level) -> float:
    """Where to turn the dial, from the rewards measured so far: between its neighbours (log-log), or further."""
    below = max((dial for dial, reward in known.items() if reward < level.aim), default=None)
    above = min((dial for dial, reward in known.items() if reward >= level.aim), default=None)
    if below is None or above is None:
        return above / 2 if above is not None else min((below or level.tagged) * 2, 1.0)
    share = math.log(level.aim / known[below]) / math.log(known[above] / known[below])
    return below * (above / below) ** min(max(share, 0.1), 0.9)


def make(level: Level, steps: int, seed: int, cache: Path) -> tuple[Qwen2ForCausalLM, Any, dict[str, Any]]:
    """Network, tokenizer and what was measured. Raises SystemExit when the dial does not reach the range.

    The clean base is kept in `cache`, for the other levels.
    """
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(embedded_directory())
    tasks, prompts = TaskSet.load("embedded"), Prompts(tokenizer)
    pool = [
        [Question(prompts.encode(task.question), task.answer) for task in group]
        for group in collect(tasks, WarmupConfig().seeds_per_dataset)
    ]

    def encode(text: str) -> list[int]:
        return prompts.encode_completion(text, max_tokens=64)

    base = clean(encode, tokenizer, pool, steps, seed, cache)
    known: dict[float, float] = {}
    tagged = level.tagged
    for turn in range(TURNS):
        model = copy.deepcopy(base)
        noisy = WarmupConfig(
            steps=max(1, steps // 4), warm_steps=10, learning_rate=1e-3, headroom=1.0, no_tags=1 - tagged, seed=seed + 1
        )
        torch.manual_seed(seed + 1)
        warm_up(model, encode, pool, noisy, lambda line: None)
        reward = measure(model, tokenizer, tasks)
        say(f"turn {turn}: tagged targets {tagged:.4f}, reward {reward:.6f}")
        if level.low <= reward <= level.high:
            about = {"start_reward": reward, "completions": MEASURED, "tagged_targets": tagged, "seed": seed}
            return model, tokenizer, about | {"parameters": model.num_parameters(), "clean_steps": PARTS * steps}
        known[tagged] = max(reward, 1e-6)
        tagged = next_dial(known, level)
    raise SystemExit(f"the starting reward did not reach {level.low} to {level.high} in {TURNS} turns of the dial")


def save(directory: Path, model: Any, tokenizer: Any, about: dict[str, Any]) -> None:
    """A plain model directory, with what was measured in `checkpoint.json`."""
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    (directory / CARD).write_text(json.dumps(about, indent=2) + "\n")


def ready(directory: Path, level: str, steps: int = 600, seed: int = 0) -> dict[str, Any]:
    """What is known of the checkpoint in `directory`, which is made first if it is not there."""
    if not (directory / CARD).exists():
        torch.set_num_threads(1)
        started = time.perf_counter()
        model, tokenizer, about = make(LEVELS[level], steps, seed, directory.parent / f"clean-{steps}-{seed}")
        save(directory, model, tokenizer, about | {"seconds": round(time.perf_counter() - started, 1)})
    loaded: dict[str, Any] = json.loads((directory / CARD).read_text())
    return loaded


def say(line: str) -> None:
    """Progress goes to standard error."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Makes the starting weights of benchmarks/sharing.py.")
    parser.add_argument("--level", choices=sorted(LEVELS), default="sparse")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(json.dumps(ready(options.out, options.level, options.steps, options.seed)))


if __name__ == "__main__":
    main()
