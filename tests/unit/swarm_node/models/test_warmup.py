"""Proves: warm-up loss counts target tokens only, noise follows its dials, the schedule is as stated, runs repeat."""

from __future__ import annotations

import random

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from swarm_node.models.warmup import Question, WarmupConfig, learning_rate_at, sum_loss, target, warm_up


def tiny_model() -> Qwen2ForCausalLM:
    torch.manual_seed(0)
    return Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=32,
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=True,
        )
    )


def test_loss_of_padded_rows_is_the_sum_of_each_row_alone() -> None:
    model = tiny_model()
    rows = [([1, 2, 3, 4, 5], [6, 7]), ([8], [9, 10, 11])]
    with torch.no_grad():
        together = sum_loss(model, rows)
        alone = torch.tensor(0.0)
        for prompt, answer in rows:
            labels = torch.tensor([[-100] * len(prompt) + answer])
            alone += model(torch.tensor([prompt + answer]), labels=labels).loss * len(answer)
    assert together.item() == pytest.approx(alone.item(), rel=1e-5)


def test_clean_targets_are_right_and_noisy_ones_follow_the_dials() -> None:
    rng, config = random.Random(0), WarmupConfig(wrong_answer=0.6, no_tags=0.3)
    question, others = Question([1], "right"), [Question([1], "wrong")]
    assert {target(rng, question, others, config, noisy=False) for _ in range(50)} == {"<answer>right</answer>"}
    noisy = [target(rng, question, others, config, noisy=True) for _ in range(4000)]
    assert sum("right" in text for text in noisy) / 4000 == pytest.approx(0.4, abs=0.03)
    assert sum("<answer>" not in text for text in noisy) / 4000 == pytest.approx(0.3, abs=0.03)


def test_learning_rate_rises_then_falls_to_its_floor() -> None:
    config = WarmupConfig(steps=1000, warm_steps=50, learning_rate=1e-3, final_learning_rate=1e-4)
    rates = [learning_rate_at(step, config) for step in range(1000)]
    assert rates[0] < rates[25] < rates[49]
    assert max(rates) == pytest.approx(1e-3, rel=0.05)
    assert rates[50:] == sorted(rates[50:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4, rel=0.02)


def test_warm_up_learns_and_repeats_bit_by_bit() -> None:
    pool = [[Question([1, 2, first], str(first)) for first in range(3, 9)]]
    config = WarmupConfig(steps=60, batch=12, warm_steps=5, headroom=0.0, learning_rate=1e-2, final_learning_rate=1e-3)

    def encode(text: str) -> list[int]:
        return [10 + int(text.removeprefix("<answer>").removesuffix("</answer>")), 31]

    states = []
    for _ in range(2):
        model = tiny_model()
        before = sum_loss(model, [(q.prompt, encode(q.answer)) for q in pool[0]]).item()
        said: list[str] = []
        warm_up(model, encode, pool, config, said.append)
        after = sum_loss(model, [(q.prompt, encode(q.answer)) for q in pool[0]]).item()
        assert after < 0.2 * before
        assert len(said) == 1
        states.append(model.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
