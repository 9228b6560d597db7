"""Drawing one token per row from logits.

Inverse-CDF sampling from uniforms that the caller draws: much cheaper than `multinomial` for large vocabularies, and
a row's tokens depend on its own uniforms only, whichever rows run beside it.  Works with `policy`.
"""

from __future__ import annotations

import torch


def draw(logits: torch.Tensor, uniforms: torch.Tensor, top_p: float = 1.0, top_k: int = 0) -> torch.Tensor:
    """Token of each row: logits [B, V], already divided by the temperature, uniforms [B] in [0, 1) → [B].

    `top_k` (0: off) keeps the most likely tokens, then `top_p` the smallest set that reaches that probability.
    """
    probabilities = logits.float().softmax(-1)
    if top_k == 0 and top_p == 1.0:
        return _invert(probabilities, uniforms)
    ordered, tokens = probabilities.sort(dim=-1, descending=True)
    if 0 < top_k < ordered.shape[-1]:
        ordered, tokens = ordered[:, :top_k], tokens[:, :top_k]
        ordered = ordered / ordered.sum(-1, keepdim=True)
    if top_p < 1.0:
        before = ordered.cumsum(-1) - ordered  # probability of all more likely tokens; 0 for the first
        ordered = ordered.masked_fill(before >= top_p, 0.0)
    return tokens.gather(1, _invert(ordered, uniforms)[:, None])[:, 0]


def _invert(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """First index whose cumulative weight exceeds u × total; it always has a positive weight."""
    cumulative = weights.cumsum(-1)
    total = cumulative[:, -1]
    # u < 1, but u × total may round up to total, beyond the last token
    thresholds = torch.minimum(uniforms.to(total) * total, torch.nextafter(total, torch.zeros_like(total)))
    return torch.searchsorted(cumulative, thresholds[:, None], right=True)[:, 0]
