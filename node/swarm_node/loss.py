"""The clipped GRPO objective per token, and how tokens are averaged.

Names and values as in TRL 1.16 (`loss_type`, `epsilon`, `epsilon_high`, `beta`); TRL is the oracle in the tests.
Works with `train`, which sums `token_weight × token_losses` over micro-batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from swarm_node.hyper import LossType


@dataclass(frozen=True)
class TokenLosses:
    """Per token [M]: loss (with gradient), whether the ratio was clipped, and the KL estimate (zeros without one)."""

    loss: torch.Tensor
    clipped: torch.Tensor
    kl: torch.Tensor


def token_losses(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    *,
    epsilon: float,
    epsilon_high: float,
    reference_logprobs: torch.Tensor | None = None,
    beta: float = 0.0,
) -> TokenLosses:
    """-min(r·A, clip(r, 1 - epsilon, 1 + epsilon_high)·A) + beta·KL for each token, r = exp(logp - old).

    KL to the reference is the k3 estimator exp(d) - d - 1 with d = reference - logp.
    """
    ratio = torch.exp(logprobs - old_logprobs)
    limited = ratio.clamp(1 - epsilon, 1 + epsilon_high)
    loss = -torch.minimum(ratio * advantages, limited * advantages)
    clipped = ((ratio < 1 - epsilon) & (advantages < 0)) | ((ratio > 1 + epsilon_high) & (advantages > 0))
    if reference_logprobs is None or beta == 0.0:
        return TokenLosses(loss, clipped, torch.zeros_like(loss))
    difference = reference_logprobs - logprobs
    kl = torch.exp(difference) - difference - 1
    return TokenLosses(loss + beta * kl, clipped, kl)


@dataclass(frozen=True)
class BatchSize:
    """Sequences and tokens of a step's completions: of all groups, and of those that are really trained on."""

    sequences: int
    tokens: int
    active_tokens: int


def token_weight(loss_type: LossType, length: int, batch: BatchSize, max_completion_length: int) -> float:
    """Weight of each token of a completion of `length` tokens; the weights turn a sum into the loss type's mean.

    - grpo: mean over sequences of the mean over their tokens
    - dr_grpo: sum over tokens, divided by sequences × max_completion_length
    - dapo: mean over all tokens of the batch
    - bnpo: mean over the tokens of the active groups

    Groups that are skipped for their zero advantage would add zeros, so they count in every denominator but bnpo's.
    """
    if loss_type == "grpo":
        return 1.0 / (batch.sequences * length)
    if loss_type == "dr_grpo":
        return 1.0 / (batch.sequences * max_completion_length)
    if loss_type == "dapo":
        return 1.0 / batch.tokens
    return 1.0 / batch.active_tokens
