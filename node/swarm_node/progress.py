"""Training progress that outlives the process: which round comes next, and checkpoints at a bearable price.

A checkpoint is written after every round as long as that takes less than two seconds or a twentieth of the time; larger
models save more rarely, but always when a round was the best yet on held-out questions. A checkpoint that
cannot be written is told and tried again; training goes on.
"""

from __future__ import annotations

import time
from typing import Any

from swarm_core.errors import ConfigError
from swarm_core.log import get_logger
from swarm_node.backend import Backend
from swarm_node.checkpoint import CheckpointError, CheckpointStore
from swarm_node.curriculum import Curriculum
from swarm_node.sampler import SeenGroups
from swarm_node.train_state import capture, restore

_SHARE_OF_TIME = 0.05
_CHEAP_SECONDS = 2.0
_SEEN, _CURRICULUM = "seen_groups", "curriculum"
log = get_logger("progress")


class Progress:
    """Counts training rounds and saves. `training_round` is the next round to train.

    `seen` is the sampler's position: the external groups that were trained on, which a resumed run must not use again;
    `curriculum` holds the levels that the next questions are asked at.
    """

    def __init__(
        self,
        store: CheckpointStore,
        trainer: Backend,
        config_hash: str,
        first_round: int,
        seen: SeenGroups | None = None,
        curriculum: Curriculum | None = None,
    ) -> None:
        self._store = store
        self._trainer = trainer
        self.config_hash = config_hash
        self.seen = seen if seen is not None else SeenGroups()
        self._curriculum = curriculum
        self._save_seconds = 0.0
        self._saved_at = 0.0
        self._saved_round = -1
        self.training_round = first_round
        self.saved_step: int | None = None
        self.saved_sha256 = ""
        self.last_error = ""

    def resume(self) -> int | None:
        """Continue from the newest intact checkpoint; its optimiser step, or None when there is none."""
        state = self._store.load_latest(self.config_hash)
        if state is None:
            return None
        try:
            restore(state, self._trainer)
            if self._curriculum is not None and _CURRICULUM in state.extra:
                self._curriculum.restore(state.extra[_CURRICULUM])
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"The checkpoint of round {state.round} does not fit this version ({error}).",
                f"move {self._store.directory / self.config_hash} away to start this model anew",
            ) from error
        seen = state.extra.get(_SEEN, [])
        if isinstance(seen, list):  # absent in the checkpoints of 0.1.0
            self.seen.add([digest for digest in seen if isinstance(digest, str)])
        self.training_round = state.round + 1
        self._saved_round = state.round
        self.saved_step = state.optimizer_steps
        return state.optimizer_steps

    def finished(self, training_round: int, held_out: float | None = None) -> bool:
        """The weights now contain `training_round`; save if it is time. Whether a checkpoint was written.

        `held_out` is the reward of these weights on held-out questions, if they were just evaluated.
        """
        self.training_round = training_round + 1
        cheap = self._save_seconds <= _CHEAP_SECONDS
        due = time.monotonic() - self._saved_at >= self._save_seconds / _SHARE_OF_TIME
        return self.save(held_out) if cheap or due or self._is_best(held_out) else False

    def skip(self, training_round: int) -> None:
        """A failed round is not tried again: its questions may be what failed."""
        self.training_round = max(self.training_round, training_round + 1)

    def save(self, held_out: float | None = None) -> bool:
        """Write a checkpoint unless the newest one is current; call only between steps. Whether one was written."""
        if self._saved_round == self.training_round - 1:
            return False
        start = time.monotonic()
        number = self.training_round - 1
        extra: dict[str, Any] = {_SEEN: self.seen.digests()}
        if self._curriculum is not None:
            extra[_CURRICULUM] = self._curriculum.state()
        state = capture(self._trainer, config_hash=self.config_hash, round_number=number, extra=extra)
        try:
            saved = self._store.save(state, held_out)
        except CheckpointError as error:
            self.last_error = str(error)
            log.error("checkpoint not written, training goes on", round=number, error=str(error))
        else:
            self.last_error = ""
            self._saved_round, self.saved_step = number, self._trainer.optimizer_steps
            self.saved_sha256 = saved.sha256
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - start
        return not self.last_error

    def _is_best(self, held_out: float | None) -> bool:
        if held_out is None:
            return False
        best = self._store.best(self.config_hash)
        return best is None or held_out > best.held_out
