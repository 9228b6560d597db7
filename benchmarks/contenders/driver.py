"""Starts the two contenders, makes genrl's environment, and measures pairs of commands in turn.

Works with `loop` (the other end of the pipes).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
ENVIRONMENT = ROOT / "build" / "genrl-env"
LOCK = ROOT / "locks" / "genrl.txt"


def genrl_python() -> Path:
    """The interpreter of genrl's environment, installed from the hashed lock when it is missing or out of date."""
    python = ENVIRONMENT / "bin" / "python"
    mark = ENVIRONMENT / "lock.txt"
    if not (mark.exists() and mark.read_text() == LOCK.read_text()):
        print(f"installing {LOCK.name} into {ENVIRONMENT.name}", file=sys.stderr)
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([str(ROOT / "scripts" / "install-lock"), str(LOCK), str(python)], check=True)
        mark.write_text(LOCK.read_text())
    return python


class Process:
    """One contender. Raises RuntimeError when a command fails or the process ends."""

    def __init__(self, name: str, python: Path | str, threads: int) -> None:
        self.name = name
        environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",
            "PYTHONWARNINGS": "ignore",
        }
        self._process = subprocess.Popen(
            [str(python), str(HERE / f"{name}.py"), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Run one command; what it answered, with its CPU and wall seconds and peak memory."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended with exit code {self._process.wait()} during {do}")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{self.name} failed in {do}: {answer['error']}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


Sample = Callable[[Process], float]


def interleave(theirs: Process | None, ours: Process, sample: Sample, pairs: int) -> dict[str, Any]:
    """Seconds of both, measured in turn, the first of a pair alternating; the median of the pairs' ratios."""
    seconds: dict[str, list[float]] = {"genrl": [], "ours": []}
    for number in range(pairs):
        order = [("genrl", theirs), ("ours", ours)]
        for name, process in order if number % 2 == 0 else reversed(order):
            if process is not None:
                seconds[name].append(sample(process))
    result: dict[str, Any] = {name: statistics.median(values) for name, values in seconds.items() if values}
    ratios = [a / b for a, b in zip(seconds["genrl"], seconds["ours"], strict=False)]
    if ratios:
        result |= {"ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios)}
    return {name: round(value, 4) for name, value in result.items()} | {"pairs": pairs}
