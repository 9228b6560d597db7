"""TensorBoard event files of a run: one scalar per number of a round's record, under `<state>/tensorboard`.

Files are bounded: a new one begins every `ROUNDS_PER_FILE` rounds and at every start, the newest `FILES` stay. A disk
that refuses ends the writing, never a round. Works with `board`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from swarm_core.log import get_logger
from swarm_core.status import RoundRecord

ROUNDS_PER_FILE = 10_000
FILES = 8
_LEFT_OUT = frozenset({"training_round", "finished_at", "chain_round"})
log = get_logger("events")


class EventFiles:
    """Writes records as they come. `training_round` is the step, so runs that were resumed make one curve."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._writer: Any = None
        self._written = 0
        self._broken = False

    def add(self, record: RoundRecord) -> None:
        """Write one record's numbers."""
        if self._broken or record.result != "ok":
            return
        try:
            if self._writer is None or self._written >= ROUNDS_PER_FILE:
                self._start()
            for name, value in scalars(record):
                self._writer.add_scalar(name, value, record.training_round, record.finished_at)
            self._writer.flush()
            self._written += 1
        except OSError as error:
            self._broken = True
            log.warning("no TensorBoard files until the next start", error=str(error))

    def close(self) -> None:
        """End the current file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _start(self) -> None:
        from tensorboardX import SummaryWriter

        self.close()
        self._directory.mkdir(parents=True, exist_ok=True)
        kept = sorted(self._directory.glob("events.out.tfevents.*"), key=lambda path: path.stat().st_mtime)
        for path in kept[: max(0, len(kept) - FILES + 1)]:
            path.unlink()
        self._writer = SummaryWriter(str(self._directory), write_to_disk=True)
        self._written = 0


def scalars(record: RoundRecord) -> Iterator[tuple[str, float]]:
    """Every number of `record`, those of a mapping as `name/key`; lists as their lengths."""
    for name, value in record:
        if isinstance(value, dict):
            yield from ((f"{name}/{key}", float(part)) for key, part in value.items() if isinstance(part, int | float))
        elif isinstance(value, list):
            yield name, float(len(value))
        elif isinstance(value, int | float) and name not in _LEFT_OUT:
            yield name, float(value)
