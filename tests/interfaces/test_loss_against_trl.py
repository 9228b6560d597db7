"""Our loss and its gradient are TRL's: `GRPOTrainer._compute_loss` of TRL 1.16 is called on the same random tensors.

TRL gets a stand-in trainer with the attributes that method reads; its forward pass is replaced by a parameter of
log-probabilities, so that gradients with respect to them can be compared.
"""

import types
from collections import defaultdict
from typing import Any

import pytest
import torch

from swarm_node.loss import BatchSize, token_losses, token_weight

MAX_LENGTH = 10
LENGTHS = [3, 10, 1, 7, 7, 2]


class OneProcess:
    """The part of an Accelerator that a single process needs."""

    num_processes = 1
    sync_gradients = True

    @staticmethod
    def gather(tensor: torch.Tensor) -> torch.Tensor:
        return tensor

    gather_for_metrics = gather

    @staticmethod
    def reduce(tensor: torch.Tensor, reduction: str = "sum") -> torch.Tensor:
        return tensor


def trl_loss(logprobs: torch.Tensor, inputs: dict[str, Any], loss_type: str, beta: float) -> torch.Tensor:
    """TRL's loss for per-token log-probabilities [B, T]."""
    from trl import GRPOTrainer

    stand_in = types.SimpleNamespace(
        _get_per_token_logps_and_entropies=lambda *_, **__: (logprobs, torch.zeros_like(logprobs), None),
        accelerator=OneProcess(),
        args=types.SimpleNamespace(delta=None, use_bias_correction_kl=False, steps_per_generation=1, report_to=[]),
        aux_loss_enabled=False,
        beta=beta,
        current_gradient_accumulation_steps=1,
        epsilon_low=0.2,
        epsilon_high=0.28,
        importance_sampling_level="token",
        loss_type=loss_type,
        max_completion_length=MAX_LENGTH,
        model=types.SimpleNamespace(training=True),
        off_policy_mask_threshold=None,
        state=types.SimpleNamespace(global_step=0),
        top_entropy_quantile=1.0,
        use_vllm=False,
        _entropy_bonus_enabled=False,
        _metrics={"train": defaultdict(list), "eval": defaultdict(list)},
    )
    loss: torch.Tensor = GRPOTrainer._compute_loss(stand_in, None, inputs)
    return loss


def random_inputs(skip: bool) -> tuple[torch.Tensor, dict[str, Any]]:
    """Log-probabilities [B, T] and TRL's inputs; with `skip` two sequences have no advantage."""
    generator = torch.Generator().manual_seed(7)

    def rand(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rows = len(LENGTHS)
    logprobs = (-2 + rand(rows, MAX_LENGTH) * 0.5).requires_grad_()
    advantages = rand(rows)
    if skip:
        advantages[2:4] = 0.0
    mask = (torch.arange(MAX_LENGTH) < torch.tensor(LENGTHS)[:, None]).long()
    return logprobs, {
        "prompt_ids": torch.zeros(rows, 4, dtype=torch.long),
        "prompt_mask": torch.ones(rows, 4, dtype=torch.long),
        "completion_ids": torch.zeros(rows, MAX_LENGTH, dtype=torch.long),
        "completion_mask": mask,
        "advantages": advantages,
        "old_per_token_logps": logprobs.detach() + rand(rows, MAX_LENGTH) * 0.3,  # ratios on both sides of the clip
        "ref_per_token_logps": logprobs.detach() + rand(rows, MAX_LENGTH) * 0.2,
        "num_items_in_batch": mask.sum(),
    }


def our_loss(
    logprobs: torch.Tensor, inputs: dict[str, Any], loss_type: str, beta: float, rows: list[int]
) -> torch.Tensor:
    """Ours, over the flat tokens of `rows`, with denominators of the whole batch."""
    real = inputs["completion_mask"].bool()[rows]
    lengths = [LENGTHS[row] for row in rows]
    batch = BatchSize(len(LENGTHS), sum(LENGTHS), sum(lengths))
    weights = [token_weight(loss_type, length, batch, MAX_LENGTH) for length in lengths]  # type: ignore[arg-type]
    losses = token_losses(
        logprobs[rows][real],
        inputs["old_per_token_logps"][rows][real],
        inputs["advantages"][rows].repeat_interleave(torch.tensor(lengths)),
        epsilon=0.2,
        epsilon_high=0.28,
        reference_logprobs=inputs["ref_per_token_logps"][rows][real],
        beta=beta,
    )
    return (losses.loss * torch.tensor(weights, dtype=torch.float64).repeat_interleave(torch.tensor(lengths))).sum()


@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dr_grpo", "dapo"])
@pytest.mark.parametrize("beta", [0.0, 0.04])
def test_loss_and_gradient(loss_type: str, beta: float) -> None:
    logprobs, inputs = random_inputs(skip=False)
    expected = trl_loss(logprobs, inputs, loss_type, beta)
    (wanted,) = torch.autograd.grad(expected, logprobs)
    ours = our_loss(logprobs, inputs, loss_type, beta, list(range(len(LENGTHS))))
    (got,) = torch.autograd.grad(ours, logprobs)
    assert wanted.abs().sum() > 0
    assert ours.item() == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(got, wanted, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("loss_type", ["grpo", "dr_grpo", "dapo"])
def test_leaving_zero_advantages_out_changes_nothing(loss_type: str) -> None:
    """TRL computes every sequence; we skip those without advantage and keep them in the denominator."""
    logprobs, inputs = random_inputs(skip=True)
    expected = trl_loss(logprobs, inputs, loss_type, 0.0)
    (wanted,) = torch.autograd.grad(expected, logprobs)
    ours = our_loss(logprobs, inputs, loss_type, 0.0, [0, 1, 4, 5])
    (got,) = torch.autograd.grad(ours, logprobs)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-9)
    assert torch.allclose(got, wanted, rtol=1e-9, atol=1e-15)


def test_bnpo_is_the_mean_over_the_active_sequences() -> None:
    """For bnpo the skipped sequences leave the denominator: TRL on the active ones alone."""
    logprobs, inputs = random_inputs(skip=True)
    active = [0, 1, 4, 5]
    part = {name: value[active] if value.dim() else value for name, value in inputs.items()}
    expected = trl_loss(logprobs[active], part, "bnpo", 0.0)
    assert our_loss(logprobs, inputs, "bnpo", 0.0, active).item() == pytest.approx(expected.item(), rel=1e-9)


def test_advantages_are_trls() -> None:
    """The formula of TRL's `_generate_and_score_completions`: unbiased deviation, 1e-4 added."""
    from swarm_node.advantages import batch_advantages

    rewards = torch.rand(5, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    centred = rewards - rewards.mean(1, keepdim=True)
    by_scale = {
        "group": centred / (rewards.std(1, keepdim=True) + 1e-4),
        "batch": centred / (rewards.std() + 1e-4),
        "none": centred,
    }
    for scale, expected in by_scale.items():
        got = torch.tensor(batch_advantages(rewards.tolist(), scale), dtype=torch.float64)  # type: ignore[arg-type]
        assert torch.allclose(got, expected, rtol=1e-12)
