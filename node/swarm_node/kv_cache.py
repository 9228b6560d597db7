"""Keys and values of a running generation, in buffers allocated once for the whole of it.

A `Cache` of transformers with layers of our own; `policy` prefills one per batch of prompts, then expands it.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import Cache, DynamicLayer


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values: buffers [rows, heads, capacity, dim], of which `length` slots are filled."""

    def __init__(self, capacity: int, dtype: torch.dtype) -> None:
        super().__init__()
        self.capacity = capacity
        self.dtype = dtype
        self.length = 0

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate the buffers when the first states show their shape."""
        self.device = key_states.device
        rows, heads, _, key_dim = key_states.shape
        self.keys = key_states.new_empty(rows, heads, self.capacity, key_dim, dtype=self.dtype)
        self.values = value_states.new_empty(rows, heads, self.capacity, value_states.shape[-1], dtype=self.dtype)
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store the new states behind the old ones; views of all filled slots."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        end = self.length + key_states.shape[-2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        """Filled slots."""
        return self.length

    def get_max_length(self) -> int:
        """Slots there are."""
        return self.capacity

    def take(self, rows: torch.Tensor) -> None:
        """Keep `rows` of the batch (repeats allowed), in that order, in fresh buffers."""
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_empty(len(rows), *old.shape[1:])
            new[:, :, : self.length] = old[:, :, : self.length].index_select(0, rows)
            setattr(self, name, new)


def preallocated_cache(layers: int, capacity: int, dtype: torch.dtype) -> Cache:
    """An empty cache for `capacity` tokens a row."""
    return Cache(layers=[PreallocatedLayer(capacity, dtype) for _ in range(layers)])


def take_rows(cache: Cache, rows: torch.Tensor) -> None:
    """Keep `rows` of the batch in every layer (repeats allowed)."""
    for layer in cache.layers:
        layer.take(rows)
