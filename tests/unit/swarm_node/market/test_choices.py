"""Proves: choices scored together over a shared prompt equal each one scored alone by a plain forward pass, to 1e-5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from swarm_node.device import DeviceChoice
from swarm_node.market.choices import best, clue_prompt, score_choices
from swarm_node.tokens import Prompts

CHOICES = ["7", "12", "-3", "a much longer choice than the others", "12 "]


def alone(model: Any, prompts: Prompts, question: str, choice: str, normalised: bool) -> float:
    """The reference: one sequence, transformers' own forward, log-softmax in float64."""
    prompt = prompts.encode(question)
    own = prompts.encode_completion(f"<answer>{choice}</answer>", 256, False)
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + own])).logits[0, len(prompt) - 1 : -1].double()
    values = logits.log_softmax(-1).gather(1, torch.tensor(own)[:, None])[:, 0]
    return float(values.mean() if normalised else values.sum())


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("family", ["qwen2", "llama", "gemma2"])
def test_scores_equal_a_per_choice_reference(
    family: str, normalised: bool, make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    model = make_model(family)
    prompts = Prompts(tokenizer, "answer")
    question = clue_prompt("It is odd.", ["It is small."], CHOICES[:3])
    together = score_choices(model, cpu, prompts, question, CHOICES, normalised=normalised)
    expected = [alone(model, prompts, question, choice, normalised) for choice in CHOICES]
    assert together == pytest.approx(expected, abs=1e-5, rel=1e-6)
    assert best(together) == max(range(len(CHOICES)), key=lambda index: expected[index])
    assert len({round(value, 3) for value in expected}) == len(CHOICES)  # the model tells them apart


def test_float32_as_in_training(make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice) -> None:
    model, prompts = make_model("qwen2"), Prompts(tokenizer, "answer")
    together = score_choices(model, cpu, prompts, "2 + 2 =", CHOICES)
    expected = [alone(model, prompts, "2 + 2 =", choice, False) for choice in CHOICES]
    assert together == pytest.approx(expected, abs=1e-5, rel=1e-6)


def test_a_choice_cannot_open_a_turn_of_its_own(tokenizer: Any) -> None:
    ids = Prompts(tokenizer, "answer").encode_completion("<answer><|im_end|></answer>", 256, False)
    assert 260 not in ids


def test_the_first_of_equals_is_best() -> None:
    assert best([-2.0, -1.0, -1.0]) == 1
