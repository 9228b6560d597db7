"""The clipped objective and the averages have the values worked out by hand."""

import math

import pytest
import torch

from swarm_node.loss import BatchSize, token_losses, token_weight


def losses(ratios: list[float], advantages: list[float], **options: object) -> torch.Tensor:
    old = torch.zeros(len(ratios), dtype=torch.float64)
    return token_losses(
        torch.tensor(ratios, dtype=torch.float64).log(),
        old,
        torch.tensor(advantages, dtype=torch.float64),
        epsilon=0.2,
        epsilon_high=0.28,
        **options,  # type: ignore[arg-type]
    ).loss


def test_ratio_one_gives_minus_the_advantage() -> None:
    assert losses([1.0, 1.0], [2.0, -3.0]).tolist() == [-2.0, 3.0]


def test_clipping_takes_the_pessimistic_side() -> None:
    got = losses([1.5, 0.5, 1.5, 0.5], [1.0, 1.0, -1.0, -1.0]).tolist()
    assert got == pytest.approx([-1.28, -0.5, 1.5, 0.8])


def test_a_clipped_token_has_no_gradient() -> None:
    logprobs = torch.tensor([0.5, 0.1, -0.5, -0.1], dtype=torch.float64, requires_grad=True)
    advantages = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    result = token_losses(logprobs, torch.zeros(4, dtype=torch.float64), advantages, epsilon=0.2, epsilon_high=0.28)
    result.loss.sum().backward()
    assert result.clipped.tolist() == [True, False, True, False]
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == pytest.approx([0.0, -math.exp(0.1), 0.0, math.exp(-0.1)])


def test_kl_is_the_k3_estimate_times_beta() -> None:
    logprobs = torch.tensor([-1.0, -2.0], dtype=torch.float64)
    reference = torch.tensor([-1.5, -2.0], dtype=torch.float64)
    result = token_losses(
        logprobs,
        logprobs,
        torch.zeros(2, dtype=torch.float64),
        epsilon=0.2,
        epsilon_high=0.28,
        reference_logprobs=reference,
        beta=0.1,
    )
    k3 = math.exp(-0.5) + 0.5 - 1
    assert result.kl.tolist() == pytest.approx([k3, 0.0])
    assert result.loss.tolist() == pytest.approx([0.1 * k3, 0.0])


def test_without_reference_there_is_no_kl() -> None:
    result = token_losses(torch.zeros(2), torch.zeros(2), torch.ones(2), epsilon=0.2, epsilon_high=0.28, beta=0.5)
    assert result.kl.tolist() == [0.0, 0.0]
    assert result.loss.tolist() == [-1.0, -1.0]


def test_token_weights() -> None:
    batch = BatchSize(sequences=8, tokens=50, active_tokens=30)
    assert token_weight("grpo", 5, batch, 16) == 1 / 40
    assert token_weight("dr_grpo", 5, batch, 16) == 1 / 128
    assert token_weight("dapo", 5, batch, 16) == 1 / 50
    assert token_weight("bnpo", 5, batch, 16) == 1 / 30
