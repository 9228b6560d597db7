"""Log-probabilities of chosen tokens without ever holding all logits.

The language-model head is applied to a chunk of positions at a time and again in the backward pass, so memory is
chunk × vocabulary whatever the batch.  Works with `train`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

CHUNK_ELEMENTS = 8_388_608  # logits held at once: 32 MB of float32


def selected_logprobs(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability of `targets` [M] and the entropy [M] of softmax(hidden [M, d] @ weight [V, d]ᵀ / temperature).

    Both in float32 (float64 for float64 input); the entropy carries no gradient.
    """
    logprobs, entropies = _SelectedLogprobs.apply(hidden, weight, targets, temperature)  # type: ignore[no-untyped-call]
    return logprobs, entropies


class _SelectedLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, temperature: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Chunk by chunk; remembers the inputs and each position's log-normaliser."""
        logprobs, entropies, normalisers = [], [], []
        weight_cast = weight.to(hidden.dtype)
        for start, end in _chunks(len(hidden), len(weight)):
            logits = _logits(hidden[start:end], weight_cast, temperature)
            normaliser = logits.logsumexp(-1)
            logprobs.append(logits.gather(1, targets[start:end, None])[:, 0] - normaliser)
            probabilities = (logits - normaliser[:, None]).exp()
            entropies.append(normaliser - (probabilities * logits).sum(-1))
            normalisers.append(normaliser)
        ctx.save_for_backward(hidden, weight, targets, torch.cat(normalisers))
        ctx.temperature = temperature
        entropy = torch.cat(entropies)
        ctx.mark_non_differentiable(entropy)
        return torch.cat(logprobs), entropy

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_logprobs: torch.Tensor, _: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        """d logp / d logits = (one-hot - softmax) / temperature, formed from recomputed logits."""
        hidden, weight, targets, normalisers = ctx.saved_tensors
        weight_cast = weight.to(hidden.dtype)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for start, end in _chunks(len(hidden), len(weight)):
            logits = _logits(hidden[start:end], weight_cast, ctx.temperature)
            grad = (logits - normalisers[start:end, None]).exp_().neg_()
            grad.scatter_add_(1, targets[start:end, None], torch.ones_like(grad[:, :1]))
            grad *= (grad_logprobs[start:end] / ctx.temperature)[:, None]
            grad = grad.to(hidden.dtype)
            grad_hidden[start:end] = grad @ weight_cast
            if grad_weight is not None:
                grad_weight += grad.T @ hidden[start:end]
        return grad_hidden, grad_weight, None, None


def _logits(hidden: torch.Tensor, weight: torch.Tensor, temperature: float) -> torch.Tensor:
    logits = hidden @ weight.T
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.float()
    return logits if temperature == 1.0 else logits / temperature


def _chunks(positions: int, vocabulary: int) -> list[tuple[int, int]]:
    """Ranges of positions whose logits have at most `CHUNK_ELEMENTS` elements."""
    size = max(1, CHUNK_ELEMENTS // vocabulary)
    return [(start, min(start + size, positions)) for start in range(0, positions, size)]
