"""The optimiser of either backend: AdamW over a model's trainable weights, and its state as a checkpoint holds it."""

from __future__ import annotations

from typing import Any

import torch

from swarm_node.hyper import Hyperparameters

Moments = dict[int, dict[str, torch.Tensor]]  # parameter number -> step count and both moments


def adamw(model: Any, hyper: Hyperparameters) -> torch.optim.AdamW:
    """Fused AdamW with the hyperparameters' values."""
    return torch.optim.AdamW(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        lr=hyper.learning_rate,
        betas=(hyper.adam_beta1, hyper.adam_beta2),
        eps=hyper.adam_epsilon,
        weight_decay=hyper.weight_decay,
        fused=True,
    )


def moments(optimizer: torch.optim.Optimizer) -> Moments:
    """What a checkpoint keeps; the tensors are the optimiser's own."""
    state: Moments = optimizer.state_dict()["state"]
    return state


def restore_moments(optimizer: torch.optim.Optimizer, state: Moments) -> None:
    """Take over what `moments` gave; the hyperparameters stay the optimiser's."""
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
