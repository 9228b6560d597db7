"""A worker that pushes to a local Hub: starting it, and what its rounds took."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.fast_chain import COORDINATOR
from tests.support.resume_run import ROOT


class PushingNode:
    """A `swarm-node` below `directory` with a Hub token; rounds follow each other without a pause."""

    def __init__(self, directory: Path, hub_url: str, rpc_url: str, token: str, every: int = 3) -> None:
        self.state_dir, self.run_dir = directory / "state", directory / "run"
        for path in (self.state_dir, self.run_dir):
            path.mkdir(parents=True)
        (self.state_dir / "hub-token").write_text(f"{token}\n")
        self.log = directory / "log.txt"
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("services", "node")),
            "OMP_NUM_THREADS": "1",
            "HF_ENDPOINT": hub_url,
            "HF_HUB_DISABLE_XET": "1",
            "SWARM_RUN_DIR": str(self.run_dir),
            "SWARM_STATE_DIR": str(self.state_dir),
            "SWARM_RPC_URL": rpc_url,
            "SWARM_COORDINATOR": COORDINATOR,
            "SWARM_LOGIN_URL": "http://127.0.0.1:9",
            "SWARM_API_TOKEN_FILE": str(directory / "token"),
            "SWARM_DEVICE": "cpu",
            "SWARM_EVAL_STEPS": "0",
            "SWARM_EXCHANGE_SECONDS": "1",
            "SWARM_HUB_PUSH_STEPS": str(every),
            "SWARM_HUB_TOKEN_FILE": str(self.state_dir / "hub-token"),
        }
        with self.log.open("a") as log:
            command = [sys.executable, "-m", "swarm_node.main"]
            self.process = subprocess.Popen(command, env=environment, stderr=log, cwd=ROOT)

    def records(self) -> list[dict[str, Any]]:
        """Finished rounds, whole lines only."""
        history = self.state_dir / "history.jsonl"
        lines = history.read_text().split("\n")[:-1] if history.exists() else []
        return [json.loads(line) for line in lines]

    def wait(self, condition: Callable[[], bool], seconds: float) -> None:
        """Until `condition` holds; AssertionError with the log's end after `seconds` or when the process is gone."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.1)  # between two polls with a deadline

    def stop(self) -> int:
        """Exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


def longest_gap(records: list[dict[str, Any]]) -> float:
    """Seconds between the ends of two rounds, the largest."""
    times = [record["finished_at"] for record in records]
    return max((after - before for before, after in itertools.pairwise(times)), default=0.0)
