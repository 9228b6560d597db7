"""Supervised warm-up of the embedded model: first right answers, then a phase that spoils how it samples.

Phase 1 teaches right, tagged answers. Phase 2 ("headroom") replaces most targets by another question's answer or drops
the tags: the model keeps its knowledge (greedy) and samples badly, as a real base model does, so that reinforcement
learning has something to gain. Works with `tasks` (questions of the training side only) and `tokens.Prompts`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from swarm_node.tasks import Task, TaskSet

LENGTH_EDGES = (40, 10_000)  # prompts are padded within these classes; only base_conversion is beyond the first


@dataclass(frozen=True)
class WarmupConfig:
    """The recipe. `wrong_answer` and `no_tags` are the dials of the starting reward."""

    steps: int = 1200
    batch: int = 64
    learning_rate: float = 2e-3
    final_learning_rate: float = 2e-4
    warm_steps: int = 50
    headroom: float = 0.2  # share of the steps, at the end
    wrong_answer: float = 0.6  # probability in the headroom phase
    no_tags: float = 0.3
    weight_decay: float = 0.01
    seeds_per_dataset: int = 3000
    seed: int = 0


@dataclass(frozen=True)
class Question:
    """A question with its prompt's token ids and the text of its answer."""

    prompt: list[int]
    answer: str


Pool = list[list[Question]]  # one list of distinct training questions per dataset


def collect(task_set: TaskSet, seeds: int) -> list[list[Task]]:
    """The distinct training questions among the first `seeds` of each dataset; never a held-out one."""
    found: list[list[Task]] = []
    for name in task_set.names:
        made = (task_set.recompute(name, seed) for seed in range(seeds))
        found.append(list({task.question: task for task in made if task is not None}.values()))
    return found


def target(
    rng: random.Random, question: Question, others: Sequence[Question], config: WarmupConfig, noisy: bool
) -> str:
    """What the model is taught to write for `question`."""
    if not noisy:
        return f"<answer>{question.answer}</answer>"
    answer = rng.choice(others).answer if rng.random() < config.wrong_answer else question.answer
    return answer if rng.random() < config.no_tags else f"<answer>{answer}</answer>"


def draw(rng: random.Random, pool: Pool, config: WarmupConfig, noisy: bool) -> Iterator[tuple[list[int], str]]:
    """One batch of (prompt ids, target text), datasets uniformly."""
    for _ in range(config.batch):
        questions = rng.choice(pool)
        question = rng.choice(questions)
        yield question.prompt, target(rng, question, questions, config, noisy)


def sum_loss(model: Any, rows: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Cross entropy summed over the target tokens of `rows` of (prompt ids, target ids); padded on the right.

    Attention is causal and padding stands at the end, so no mask is needed.
    """
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    where: list[tuple[int, int]] = []
    for row, (prompt, answer) in enumerate(rows):
        ids[row, : len(prompt) + len(answer)] = torch.tensor(prompt + answer)
        where += [(row, len(prompt) + i) for i in range(len(answer))]
    row_index, column = torch.tensor(where).T
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state  # (rows, width, hidden)
    logits = model.lm_head(hidden[row_index, column - 1])  # (target tokens, vocabulary)
    return cross_entropy(logits, ids[row_index, column], reduction="sum")


def learning_rate_at(step: int, config: WarmupConfig) -> float:
    """Linear rise over `warm_steps`, then linear decay to `final_learning_rate`."""
    rise = min(1.0, (step + 1) / config.warm_steps)
    left = 1.0 - step / config.steps
    return rise * (config.final_learning_rate + left * (config.learning_rate - config.final_learning_rate))


def warm_up(
    model: Any,
    encode_target: Callable[[str], list[int]],
    pool: Pool,
    config: WarmupConfig,
    report: Callable[[str], None],
) -> None:
    """Train `model` in place. `encode_target` gives the ids of a target text with its end token."""
    rng = random.Random(config.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, betas=(0.9, 0.95), weight_decay=config.weight_decay
    )
    headroom_from = round(config.steps * (1 - config.headroom))
    model.train()
    started = time.monotonic()
    for step in range(config.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, config)
        drawn = list(draw(rng, pool, config, noisy=step >= headroom_from))
        rows = [(prompt, encode_target(text)) for prompt, text in drawn]
        tokens = sum(len(answer) for _, answer in rows)
        loss = 0.0
        for low, high in zip((0, *LENGTH_EDGES), LENGTH_EDGES, strict=False):
            chunk = [row for row in rows if low < len(row[0]) <= high]
            if chunk:
                part = sum_loss(model, chunk) / tokens
                part.backward()  # type: ignore[no-untyped-call]
                loss += part.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if (step + 1) % 50 == 0:
            report(f"step {step + 1}/{config.steps} loss {loss:.3f} {time.monotonic() - started:.0f} s")
    model.eval()
