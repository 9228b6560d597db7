"""Drawing one token per row from logits.

Inverse-CDF sampling from uniforms that the caller draws: much cheaper than `multinomial` for large vocabularies, and
a row's tokens depend on its own uniforms only, whichever rows run beside it.  Works with `policy`.
"""

from __future__ import annotations

import torch


def draw(
    logits: torch.Tensor, uniforms: torch.Tensor | None, top_p: float = 1.0, top_k: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token of each row and its log-probability: logits [B, V], divided by the temperature, uniforms [B] → [B], [B].

    Uniforms are in [0, 1); None takes the most likely token. `top_k` (0: off) keeps the most likely tokens, then
    `top_p` the smallest set that reaches that probability. The log-probability is that of the whole softmax.
    """
    probabilities = logits.softmax(-1)
    token = logits.argmax(-1) if uniforms is None else _choose(probabilities, uniforms, top_p, top_k)
    return token, probabilities.gather(1, token[:, None])[:, 0].log()


def _choose(probabilities: torch.Tensor, uniforms: torch.Tensor, top_p: float, top_k: int) -> torch.Tensor:
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
