"""Gathers a running trainer into a `CheckpointState`, and puts one back.

Works with `checkpoint` (storage) and `train` (the optimiser); the worker adds what it wants in `extra`.
"""

from __future__ import annotations

from typing import Any

import torch

from swarm_node.backend import Backend
from swarm_node.checkpoint import CheckpointState, flatten_optimizer, unflatten_optimizer


def capture(
    trainer: Backend,
    *,
    config_hash: str,
    round_number: int,
    generators: dict[str, torch.Generator] | None = None,
    extra: dict[str, Any] | None = None,
) -> CheckpointState:
    """The state of `trainer`, its model and the named random generators.

    Tensors are shared with the trainer, so save before its next step.
    """
    rng = {"torch": torch.get_rng_state()}
    if torch.cuda.is_available():
        rng["cuda"] = torch.cuda.get_rng_state()
    rng |= {f"generator.{name}": generator.get_state() for name, generator in (generators or {}).items()}
    return CheckpointState(
        config_hash=config_hash,
        round=round_number,
        optimizer_steps=trainer.optimizer_steps,
        weights=_tensors(trainer.model),
        optimizer=flatten_optimizer(trainer.optimizer_state()),
        rng=rng,
        extra=extra or {},
    )


def restore(state: CheckpointState, trainer: Backend, generators: dict[str, torch.Generator] | None = None) -> None:
    """Continue from `state`.  Raises ValueError when its tensors are not those of this model."""
    own = _tensors(trainer.model)
    if own.keys() != state.weights.keys():
        raise ValueError("the checkpoint's tensors are not those of this model")
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != state.weights[name].shape:
                raise ValueError(f"the checkpoint's tensor {name} has another shape")
            tensor.copy_(state.weights[name])
    trainer.load_optimizer_state(unflatten_optimizer(state.optimizer), state.optimizer_steps)
    torch.set_rng_state(state.rng["torch"])
    if "cuda" in state.rng and torch.cuda.is_available():
        torch.cuda.set_rng_state(state.rng["cuda"])
    for name, generator in (generators or {}).items():
        generator.set_state(state.rng[f"generator.{name}"])


def _tensors(model: Any) -> dict[str, torch.Tensor]:
    """Parameters and persistent buffers, tied ones once."""
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in model.state_dict()}
    return {name: parameter.detach() for name, parameter in model.named_parameters()} | buffers
