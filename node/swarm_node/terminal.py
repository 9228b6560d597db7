"""A line that shows the round and its phase, for people who run the worker in a terminal. Works with `board`."""

from __future__ import annotations

from typing import TextIO

from swarm_core.status import NodeStatus

WIDTH = 24
PHASES = ("generate", "exchange", "score", "train", "evaluate", "checkpoint", "submit")


class TerminalLine:
    """Rewrites one line of `stream`, and only if that is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream if stream.isatty() else None

    def show(self, status: NodeStatus) -> None:
        """The bar advances through the phases of a round."""
        if self._stream is None:
            return
        done = PHASES.index(status.phase) + 1 if status.phase in PHASES else 0
        filled = WIDTH * done // len(PHASES)
        reward = "-" if status.reward_own is None else f"{status.reward_own:.3f}"
        bar = "#" * filled + "." * (WIDTH - filled)
        self._stream.write(f"\r\x1b[K[{bar}] round {status.training_round + 1}  {status.phase}  reward {reward}")
        self._stream.flush()

    def clear(self) -> None:
        """Make room for a log line."""
        if self._stream is not None:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
