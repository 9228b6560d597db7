"""Lays the groups of a round out as TRL's GRPOTrainer wants them: a fixed number of rows, G for each prompt.

TRL takes rewards, subtracts the mean of every G rows, and trains on the difference. Our advantages are formed already
(over groups of any size), so they are handed over as rewards, arranged so that every G of them sum to zero: a group of
another size, or one that is missing, is filled up with rows whose tokens are masked out of the loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from swarm_node.packing import TrainingGroup

_NEARLY_ZERO = 1e-6


@dataclass(frozen=True)
class RowBatch:
    """One entry per row in every list; `env_mask` is TRL's name for "the policy made this token"."""

    prompt_ids: list[list[int]]
    completion_ids: list[list[int]]
    advantages: list[float]
    env_mask: list[list[int]]
    left_out: int  # completions that found no room

    @property
    def real(self) -> int:
        """Rows that carry a completion."""
        return sum(any(mask) for mask in self.env_mask)


def arrange(groups: Sequence[TrainingGroup], generations: int, blocks: int, filler: int) -> RowBatch:
    """`blocks` × `generations` rows; `filler` is the token of rows that fill up.

    A group of `generations` completions takes a block as it is; another one is cut into pieces of at most
    `generations` - 1 and one more row that balances their sum. Groups beyond the room are left out, from the end.
    """
    batch = RowBatch([], [], [], [], 0)
    left_out, used = 0, 0
    for group in groups:
        pieces = _pieces(group, generations)
        for start, stop in pieces:
            if used == blocks:
                left_out += stop - start
                continue
            used += 1
            _add_block(batch, group, start, stop, generations, filler)
    spare = TrainingGroup([filler], [[filler]], [0.0])
    for _ in range(blocks - used):
        _add_block(batch, spare, 0, 0, generations, filler)
    return RowBatch(batch.prompt_ids, batch.completion_ids, batch.advantages, batch.env_mask, left_out)


def _pieces(group: TrainingGroup, generations: int) -> list[tuple[int, int]]:
    count = len(group.completion_ids)
    if count == generations and abs(math.fsum(group.advantages)) < _NEARLY_ZERO:
        return [(0, count)]
    return [(start, min(start + generations - 1, count)) for start in range(0, count, generations - 1)]


def _add_block(batch: RowBatch, group: TrainingGroup, start: int, stop: int, generations: int, filler: int) -> None:
    for place in range(start, stop):
        ids = group.completion_ids[place]
        batch.prompt_ids.append(group.prompt_ids)
        batch.completion_ids.append(ids)
        batch.advantages.append(group.advantages[place])
        batch.env_mask.append([1] * len(ids))
    balance = -math.fsum(group.advantages[start:stop])
    for _ in range(generations - (stop - start)):
        batch.prompt_ids.append([filler])
        batch.completion_ids.append([filler])
        batch.advantages.append(balance)
        batch.env_mask.append([0])
        balance = 0.0
