"""The worker's history on disk: one JSON line a round, so that page, API and tests see past a restart.

Appended after each round and cut to the newest when it has grown to several times that. A disk that refuses costs
history, never a round.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from pydantic import ValidationError

from swarm_core.files import write_atomic
from swarm_core.log import get_logger
from swarm_core.status import RoundRecord

KEPT = 500
_CUT_AT = 4 * KEPT
log = get_logger("history")


class History:
    """The newest `KEPT` records; `path` None keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._kept: deque[str] = deque(maxlen=KEPT)  # as text: a quarter of the memory
        self._lines = 0
        self._read()

    def add(self, record: RoundRecord) -> None:
        """Append `record`."""
        line = record.model_dump_json()
        self._kept.append(line)
        if self._path is None:
            return
        try:
            if self._lines >= _CUT_AT:
                write_atomic(self._path, "".join(f"{kept}\n" for kept in self._kept).encode())
                self._lines = len(self._kept)
                return
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
            self._lines += 1
        except OSError as error:
            log.warning("history not written", error=str(error))

    def newest(self, limit: int) -> list[RoundRecord]:
        """At most `limit` records, newest last."""
        return [RoundRecord.model_validate_json(line) for line in list(self._kept)[-limit:]]

    def _read(self) -> None:
        if self._path is None or not self._path.exists():
            return
        try:
            with self._path.open(encoding="utf-8", errors="replace") as file:
                for line in file:
                    self._lines += 1
                    try:
                        self._kept.append(RoundRecord.model_validate_json(line).model_dump_json())
                    except ValidationError:
                        continue  # a line torn by a crash
        except OSError as error:
            log.warning("history not read", error=str(error))
