"""What a trainer is to the rest of the node: groups in, metrics out, an optimiser that can be saved.

Two there are: `train.Trainer`, our own and the default, and `trl_backend.TrlTrainer` (`SWARM_TRAINER=trl`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from swarm_node.packing import TrainingGroup
    from swarm_node.train import StepMetrics


class Backend(Protocol):
    """Owns the optimiser of a model; the weights stay in place. One call at a time."""

    micro_batch_tokens: int  # packed tokens forwarded at once; may change between steps
    recomputes: bool  # less is kept of a forward pass, see `recompute`

    @property
    def optimizer_steps(self) -> int:
        """Optimiser steps so far, counted over restarts."""

    @property
    def model(self) -> Any:
        """The model being trained."""

    def step(self, groups: Sequence[TrainingGroup]) -> StepMetrics:
        """Train on the groups of a round."""

    def optimizer_state(self) -> dict[int, dict[str, torch.Tensor]]:
        """The optimiser's moments and step counts by parameter number, for a checkpoint."""

    def load_optimizer_state(self, state: dict[int, dict[str, torch.Tensor]], optimizer_steps: int) -> None:
        """Take over what `optimizer_state` gave."""
