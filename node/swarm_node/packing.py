"""Training groups packed without padding, each prompt once for all its completions.

`plan` cuts the groups of a step into micro-batches, `pack` turns one into tensors.  Works with `attention` and `train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from swarm_node import layout as layouts
from swarm_node.layout import SharedPromptLayout, Spans


@dataclass(frozen=True)
class TrainingGroup:
    """The completions of one question with their advantages.

    `old_logprobs` are those of the policy that sampled the tokens (temperature applied), one list per completion;
    None: take them from our own first pass.
    """

    prompt_ids: list[int]
    completion_ids: list[list[int]]
    advantages: list[float]
    old_logprobs: list[list[float]] | None = None
    external: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Raise ValueError when the lists do not fit together."""
        if not self.prompt_ids or not self.completion_ids or not all(self.completion_ids):
            raise ValueError("a training group needs a prompt and completions of at least one token each")
        if len(self.advantages) != len(self.completion_ids):
            raise ValueError("a training group needs one advantage per completion")
        if self.old_logprobs is not None and list(map(len, self.old_logprobs)) != list(map(len, self.completion_ids)):
            raise ValueError("old log-probabilities do not match the completions' tokens")


@dataclass(frozen=True)
class Row:
    """One completion of a step, with what the loss needs beside its tokens."""

    group: int  # index among the step's groups: rows of one group share the prompt
    prompt_ids: list[int]
    completion_ids: list[int]
    advantage: float
    token_weight: float  # weight of each of its tokens in the loss, see `loss.token_weight`
    old_logprobs: list[float] | None = None
    external: bool = False


@dataclass(frozen=True)
class PackedBatch:
    """A micro-batch: N packed tokens, of which M belong to completions and are predicted."""

    input_ids: torch.Tensor  # [1, N]
    position_ids: torch.Tensor  # [1, N]
    layout: SharedPromptLayout
    predictor: torch.Tensor  # [M] packed position whose hidden state predicts each target
    targets: torch.Tensor  # [M] token ids
    advantages: torch.Tensor  # [M] float64, as are the two below
    weights: torch.Tensor  # [M]
    old_logprobs: torch.Tensor  # [M], NaN where unknown
    external: torch.Tensor  # [M] bool: tokens of other peers' groups
    rows: tuple[Row, ...]


def plan(rows: Sequence[Row], max_tokens: int) -> list[list[Row]]:
    """Cut rows (those of one group adjacent) into micro-batches of at most `max_tokens` packed tokens.

    A group that does not fit is continued in the next micro-batch, where its prompt is forwarded again; a single row
    longer than the limit makes a micro-batch of its own.
    """
    batches: list[list[Row]] = []
    used = 0
    for row in rows:
        shares_prompt = bool(batches) and batches[-1][-1].group == row.group
        cost = len(row.completion_ids) + (0 if shares_prompt else len(row.prompt_ids))
        if not batches or used + cost > max_tokens:
            batches.append([])
            used = 0
            cost = len(row.completion_ids) + len(row.prompt_ids)
        batches[-1].append(row)
        used += cost
    return batches


def pack(rows: Sequence[Row], device: torch.device, dtype: torch.dtype = torch.float32) -> PackedBatch:
    """Tensors of one micro-batch, whose attention computes in `dtype`.

    Order of the packed tokens: for each group its prompt, then its completions.
    """
    ids: list[int] = []
    positions: list[int] = []
    prompt_starts: list[int] = []
    prompt_lengths: list[int] = []
    prompt_of_row: list[int] = []
    own_starts: list[int] = []
    lengths = [len(row.completion_ids) for row in rows]
    group: int | None = None
    for row in rows:
        if row.group != group:
            group = row.group
            prompt_starts.append(len(ids))
            prompt_lengths.append(len(row.prompt_ids))
            ids += row.prompt_ids
            positions += range(len(row.prompt_ids))
        prompt_of_row.append(len(prompt_starts) - 1)
        own_starts.append(len(ids))
        ids += row.completion_ids
        positions += range(len(row.prompt_ids), len(row.prompt_ids) + len(row.completion_ids))

    starts, prompts = torch.tensor(prompt_starts), torch.tensor(prompt_lengths)
    own, own_lengths, of_row = torch.tensor(own_starts), torch.tensor(lengths), torch.tensor(prompt_of_row)
    spans = Spans(prompt_starts, prompt_lengths, own_starts, lengths, prompt_of_row)

    # target t of a row is predicted by the token before it: the prompt's last token for the first
    last_of_prompt = (starts + prompts - 1)[of_row]
    steps = torch.arange(int(own_lengths.max()))
    real = steps < own_lengths[:, None]
    predictor = torch.where(steps == 0, last_of_prompt[:, None], own[:, None] + steps - 1)[real]
    old = [row.old_logprobs or [float("nan")] * len(row.completion_ids) for row in rows]

    def per_token(values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).repeat_interleave(own_lengths).to(device)

    return PackedBatch(
        input_ids=torch.tensor([ids], device=device),
        position_ids=torch.tensor([positions], device=device),
        layout=layouts.build(spans, len(ids), device, dtype),
        predictor=predictor.to(device),
        targets=torch.tensor([token for row in rows for token in row.completion_ids], device=device),
        advantages=per_token([row.advantage for row in rows]),
        weights=per_token([row.token_weight for row in rows]),
        old_logprobs=torch.tensor([value for values in old for value in values], dtype=torch.float64, device=device),
        external=torch.tensor([row.external for row in rows]).repeat_interleave(own_lengths).to(device),
        rows=tuple(rows),
    )
