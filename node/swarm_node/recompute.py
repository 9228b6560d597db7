"""Keeps less of a large model's forward pass for the backward one: products stay, what is cheap is computed again.

Norms, activations, rotations and gathers are more than half of what a decoder layer would keep and a few hundredths of
its time. Works with `train`, which wraps the layers for one pass, and `memory`, which counts what is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from swarm_node.device import DeviceChoice

LARGE_MODEL_PARAMETERS = 100_000_000  # below, memory is plenty and each call's overhead counts
_ATEN = torch.ops.aten
_KEPT = frozenset(
    {
        _ATEN.mm.default,
        _ATEN.addmm.default,
        _ATEN.bmm.default,
        _ATEN._scaled_dot_product_flash_attention_for_cpu.default,
    }
)


def wanted(model: Any, device: DeviceChoice) -> bool:
    """Whether to: for large models on a CPU. On a GPU the price is not measured."""
    return device.device.type == "cpu" and sum(map(torch.Tensor.numel, model.parameters())) >= LARGE_MODEL_PARAMETERS


@contextmanager
def cheap_again(model: Any, on: bool) -> Iterator[None]:
    """Passes inside keep the products of each decoder layer only; gradients are those without it, bit for bit."""
    layers = getattr(model.base_model, "layers", ()) if on else ()
    for layer in layers:
        layer.forward = partial(
            checkpoint, layer.forward, use_reentrant=False, context_fn=_contexts, preserve_rng_state=False
        )
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own again


def _contexts() -> Any:
    return create_selective_checkpoint_contexts(_policy)  # type: ignore[no-untyped-call]


def _policy(context: Any, operation: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    return CheckpointPolicy.MUST_SAVE if operation in _KEPT else CheckpointPolicy.PREFER_RECOMPUTE
