"""The language-model head and the loss, a chunk of positions at a time: never all logits at once.

The loss of a token depends on that token's log-probability alone, so its derivative is known as soon as its logits
are: the gradient is formed in the forward pass and no logit is computed twice, whatever the ratio. Works with
`forward` and `train`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd.function import once_differentiable

CHUNK_ELEMENTS = 2_097_152  # logits held at once: 8 MB of float32, what a cache may hold
CHUNK_POSITIONS = 128  # at least so many, or the products get too thin

# weighted loss of each token from the log-probabilities [m] of the positions in a slice
Objective = Callable[[torch.Tensor, slice], torch.Tensor]


@dataclass(frozen=True)
class Scored:
    """Sum of the objective (with gradient), and without gradient each token's log-probability and entropy [M]."""

    loss: torch.Tensor
    logprobs: torch.Tensor
    entropy: torch.Tensor


def score(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    temperature: float,
    objective: Objective | None,
) -> Scored:
    """Objective over softmax((hidden [M, d] @ weight [V, d]ᵀ + bias [V]) / temperature) at `targets` [M].

    Log-probabilities are float32 (float64 for float64 input). Without an objective the loss is 0.
    """
    return Scored(*_Head.apply(hidden, weight, bias, targets, temperature, objective))  # type: ignore[no-untyped-call]


class _Head(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        temperature: float,
        objective: Objective | None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Chunk by chunk: logits, log-probabilities, and from the objective's derivative the gradients."""
        weight_cast = weight.to(hidden.dtype)
        exact = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        logprobs = torch.empty(len(hidden), dtype=exact, device=hidden.device)
        entropy = torch.empty_like(logprobs)
        loss = logprobs.new_zeros(())
        wanted = ctx.needs_input_grad[:3] if objective is not None else (False, False, False)
        grad_hidden = torch.empty_like(hidden) if any(wanted) else None
        grad_weight = torch.zeros_like(weight) if wanted[1] else None
        grad_bias = torch.zeros_like(bias) if bias is not None and wanted[2] else None
        for start, end in _chunks(len(hidden), len(weight)):
            part, target = hidden[start:end], targets[start:end, None]
            logits = (part @ weight_cast.T).to(exact)
            if bias is not None:
                logits += bias
            if temperature != 1.0:
                logits /= temperature
            logits -= logits.amax(-1, keepdim=True)
            chosen = logits.gather(1, target)[:, 0]
            weights = logits.exp()
            total = weights.sum(-1)
            logprobs[start:end] = chosen - total.log()
            entropy[start:end] = total.log() - torch.linalg.vecdot(weights, logits) / total
            if objective is None:
                continue
            loss_part, slope = _slope(objective, logprobs[start:end], slice(start, end))
            loss += loss_part
            if grad_hidden is None:
                continue
            # d logp / d logits = (one-hot - softmax) / temperature
            slope = slope / temperature
            grad = weights.mul_((-slope / total)[:, None])
            grad.scatter_add_(1, target, slope[:, None])
            if grad_bias is not None:
                grad_bias += grad.sum(0)
            cast = grad.to(hidden.dtype)
            torch.mm(cast, weight_cast, out=grad_hidden[start:end])
            if grad_weight is not None and grad_weight.dtype == cast.dtype:
                grad_weight.addmm_(cast.T, part)
            elif grad_weight is not None:
                grad_weight += cast.T @ part
        ctx.gradients = (grad_hidden, grad_weight, grad_bias)
        ctx.mark_non_differentiable(logprobs, entropy)
        return loss, logprobs, entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_loss: torch.Tensor, *_: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """The gradients that the forward pass formed, times that of the loss."""
        gradients = [None if gradient is None else _scaled(gradient, grad_loss) for gradient in ctx.gradients]
        ctx.gradients = None
        return (*gradients, None, None, None)


def _slope(objective: Objective, logprobs: torch.Tensor, where: slice) -> tuple[torch.Tensor, torch.Tensor]:
    """Sum of the objective and its derivative by each log-probability."""
    with torch.enable_grad():
        leaf = logprobs.detach().requires_grad_()
        loss = objective(leaf, where).sum()
        (slope,) = torch.autograd.grad(loss, leaf)
    return loss.detach().to(logprobs.dtype), slope


def _scaled(gradient: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """`gradient` × `factor` in place; a factor of 1, the usual one, costs no pass over the weights on a CPU."""
    if factor.device.type == "cpu" and float(factor) == 1.0:
        return gradient
    return gradient.mul_(factor)


def _chunks(positions: int, vocabulary: int) -> list[tuple[int, int]]:
    """Ranges of positions whose logits have about `CHUNK_ELEMENTS` elements."""
    size = max(CHUNK_POSITIONS, CHUNK_ELEMENTS // vocabulary)
    return [(start, min(start + size, positions)) for start in range(0, positions, size)]
