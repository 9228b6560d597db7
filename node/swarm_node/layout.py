"""Where the tokens of a packed micro-batch lie, as `attention` needs it.

Completions are sorted into buckets of similar length: attention pads each to the longest of its bucket, and its cost
grows with the square of that. Works with `packing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

SAME_BUCKET = 0.75  # completions of at least this share of the bucket's longest join it
MOST_BUCKETS = 6


@dataclass(frozen=True)
class Bucket:
    """R completions of similar length (longest C) with prompts of at most P tokens.

    Index entries beyond a sequence's end point at token 0; masks and `restore` keep them out of every result.
    """

    own_index: torch.Tensor  # [R, C] packed position of each completion token
    key_index: torch.Tensor  # [R, P + C] packed position of each key of a completion: its prompt, then itself
    mask: torch.Tensor  # [R, 1, C, P + C] added to the scores: 0 or -inf


@dataclass(frozen=True)
class SharedPromptLayout:
    """The N packed tokens of n prompts (longest P) and their completions."""

    prompt_index: torch.Tensor  # [n, P] packed position of each prompt token
    buckets: tuple[Bucket, ...]
    restore: torch.Tensor  # [N] row of each packed token among the outputs: prompts, then bucket after bucket


@dataclass(frozen=True)
class Spans:
    """First packed token and length of each prompt and completion, and the prompt of each completion."""

    prompt_starts: Sequence[int]
    prompt_lengths: Sequence[int]
    own_starts: Sequence[int]
    own_lengths: Sequence[int]
    prompt_of: Sequence[int]


def build(spans: Spans, total: int, device: torch.device, dtype: torch.dtype) -> SharedPromptLayout:
    """The layout of `total` packed tokens; masks are of `dtype`, that of the attention's inputs."""
    starts, lengths = torch.tensor(spans.prompt_starts), torch.tensor(spans.prompt_lengths)
    prompt_index, prompt_real = _table(starts, lengths)
    restore = torch.empty(total, dtype=torch.long)
    restore[prompt_index[prompt_real]] = torch.arange(prompt_index.numel()).view_as(prompt_index)[prompt_real]
    offset = prompt_index.numel()
    buckets = []
    for rows in bucket_rows(spans.own_lengths):
        own_index, own_real = _table(
            torch.tensor([spans.own_starts[row] for row in rows]),
            torch.tensor([spans.own_lengths[row] for row in rows]),
        )
        prompts = torch.tensor([spans.prompt_of[row] for row in rows])
        width = int(lengths[prompts].max())
        causal = torch.ones(own_index.shape[1], own_index.shape[1], dtype=torch.bool).tril()
        allowed = torch.cat(
            [
                prompt_real[prompts, None, :width].expand(-1, len(causal), -1),
                causal.expand(len(rows), -1, -1),  # padding is on the right: real tokens see real ones only
            ],
            dim=-1,
        )[:, None]
        buckets.append(
            Bucket(
                own_index.to(device),
                torch.cat([prompt_index[prompts, :width], own_index], dim=1).to(device),
                torch.zeros(allowed.shape, dtype=dtype).masked_fill_(~allowed, float("-inf")).to(device),
            )
        )
        restore[own_index[own_real]] = offset + torch.arange(own_index.numel()).view_as(own_index)[own_real]
        offset += own_index.numel()
    return SharedPromptLayout(prompt_index.to(device), tuple(buckets), restore.to(device))


def bucket_rows(lengths: Sequence[int]) -> list[list[int]]:
    """Row numbers by bucket, longest first: at most `MOST_BUCKETS`, the last takes what is left."""
    buckets: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        fits = bool(buckets) and lengths[row] >= SAME_BUCKET * lengths[buckets[-1][0]]
        if fits or len(buckets) == MOST_BUCKETS:
            buckets[-1].append(row)
        else:
            buckets.append([row])
    return buckets


def _table(starts: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Packed positions [rows, longest] of spans, 0 beyond an end, and which entries are real."""
    steps = torch.arange(int(lengths.max()))
    real = steps < lengths[:, None]
    return torch.where(real, starts[:, None] + steps, 0), real
