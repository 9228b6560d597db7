"""Training progress that outlives the process: which round comes next, and checkpoints at a bearable price.

A checkpoint is written after every round as long as that costs less than a twentieth of the time; larger models
save more rarely. A checkpoint that cannot be written is told and tried again; training goes on.
"""

from __future__ import annotations

import time

from swarm_core.errors import ConfigError
from swarm_core.log import get_logger
from swarm_node.checkpoint import CheckpointError, CheckpointStore
from swarm_node.train import Trainer
from swarm_node.train_state import capture, restore

_SHARE_OF_TIME = 0.05
log = get_logger("progress")


class Progress:
    """Counts training rounds and saves. `training_round` is the next round to train."""

    def __init__(self, store: CheckpointStore, trainer: Trainer, config_hash: str, first_round: int) -> None:
        self._store = store
        self._trainer = trainer
        self.config_hash = config_hash
        self._save_seconds = 0.0
        self._saved_at = 0.0
        self._saved_round = -1
        self.training_round = first_round
        self.saved_step: int | None = None
        self.last_error = ""

    def resume(self) -> int | None:
        """Continue from the newest intact checkpoint; its optimiser step, or None when there is none."""
        state = self._store.load_latest(self.config_hash)
        if state is None:
            return None
        try:
            restore(state, self._trainer)
        except (ValueError, KeyError) as error:
            raise ConfigError(
                f"The checkpoint of round {state.round} does not fit this version ({error}).",
                f"move {self._store.directory / self.config_hash} away to start this model anew",
            ) from error
        self.training_round = state.round + 1
        self._saved_round = state.round
        self.saved_step = state.optimizer_steps
        return state.optimizer_steps

    def finished(self, training_round: int) -> None:
        """The weights now contain `training_round`; save if it is time."""
        self.training_round = training_round + 1
        if time.monotonic() - self._saved_at >= self._save_seconds / _SHARE_OF_TIME:
            self.save()

    def skip(self, training_round: int) -> None:
        """A failed round is not tried again: its questions may be what failed."""
        self.training_round = max(self.training_round, training_round + 1)

    def save(self) -> None:
        """Write a checkpoint unless the newest one is current; call only between steps."""
        if self._saved_round == self.training_round - 1:
            return
        start = time.monotonic()
        number = self.training_round - 1
        try:
            self._store.save(capture(self._trainer, config_hash=self.config_hash, round_number=number))
        except CheckpointError as error:
            self.last_error = str(error)
            log.error("checkpoint not written, training goes on", round=number, error=str(error))
        else:
            self.last_error = ""
            self._saved_round, self.saved_step = number, self._trainer.optimizer_steps
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - start
