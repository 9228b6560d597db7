"""Scores the choices of a game by the model's own belief: log-probability of `<answer>choice</answer>` after the clue.

All choices go through one forward pass that computes the prompt once (`packing`, `forward`). The score is the sum over
a choice's tokens, as upstream's; normalised it is the mean, which does not favour short choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from swarm_node.device import DeviceChoice
from swarm_node.forward import attention_dtype, score_completions
from swarm_node.packing import Row, pack, plan
from swarm_node.tokens import Prompts

_MAX_CHOICE_TOKENS = 256
_BATCH_TOKENS = 8192


def clue_prompt(clue: str, earlier: Sequence[str], choices: Sequence[str]) -> str:
    """What the model is asked: all clues so far and the possible answers."""
    return "\n".join([*earlier, clue, f"Possible answers: {', '.join(choices)}"])


@torch.no_grad()
def score_choices(
    model: Any,
    device: DeviceChoice,
    prompts: Prompts,
    question: str,
    choices: Sequence[str],
    *,
    normalised: bool = False,
) -> list[float]:
    """Log-probability (nats) of each choice as the answer to `question`, at temperature 1; higher is likelier."""
    prompt_ids = prompts.encode(question)
    rows = [
        Row(0, prompt_ids, prompts.encode_completion(f"<answer>{choice}</answer>", _MAX_CHOICE_TOKENS, False), 0.0, 0.0)
        for choice in choices
    ]
    model.eval()
    values: list[float] = []
    for part in plan(rows, _BATCH_TOKENS):
        batch = pack(part, device.device, attention_dtype(model, device))
        logprobs = score_completions(model, batch, device, 1.0, None).logprobs
        for piece in torch.split(logprobs.double(), [len(row.completion_ids) for row in part]):
            values.append(float(piece.mean() if normalised else piece.sum()))
    return values


def best(scores: Sequence[float]) -> int:
    """The choice with the highest score; the first of equals."""
    return max(range(len(scores)), key=lambda index: (scores[index], -index))
