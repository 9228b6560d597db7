"""`swarm-check` asks every process of the distribution, and each answers about its settings and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOTS = [str(Path(__file__).parents[2] / name) for name in ("services", "node", "login-proxy", "monitoring")]


def test_every_console_script_that_is_a_process_answers_the_check() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "swarm_core.check"],
        env={"PYTHONPATH": ":".join(ROOTS)}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = (ended.stdout + ended.stderr).splitlines()
    assert len(lines) == 1, "a script that is no process must be left out of the check"
    assert "settings of all processes are valid" in lines[0]
