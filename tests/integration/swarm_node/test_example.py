"""Proves: the documented example of an environment of one's own trains, started as a user starts it.

Real process on the embedded model; a chain that never makes it wait; its reward must rise.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.fast_chain import COORDINATOR, FastChain
from tests.support.resume_run import ROOT
from tests.support.stub_daemon import StubDaemon

from swarm_core.records import GroupBatch

ROUNDS, WINDOW, SECONDS = 24, 6, 200.0
pytestmark = pytest.mark.timeout(300)


def test_the_example_trains(tmp_path: Path) -> None:
    history, log = tmp_path / "state" / "history.jsonl", tmp_path / "log.txt"
    (tmp_path / "run").mkdir()
    with FastChain() as chain, StubDaemon(tmp_path / "run" / "dht.sock", state="isolated", peers=0) as daemon:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("services", "node")),
            "OMP_NUM_THREADS": "1",
            "SWARM_TASKS": "examples/larger_number/tasks.yaml",
            "SWARM_RUN_DIR": str(tmp_path / "run"),
            "SWARM_STATE_DIR": str(tmp_path / "state"),
            "SWARM_RPC_URL": chain.url,
            "SWARM_COORDINATOR": COORDINATOR,
            "SWARM_LOGIN_URL": "http://127.0.0.1:9",
            "SWARM_API_TOKEN_FILE": str(tmp_path / "token"),
            "SWARM_DEVICE": "cpu",
            "SWARM_EVAL_STEPS": "0",
        }
        with log.open("w") as file:
            command = [sys.executable, "examples/larger_number/node.py"]
            process = subprocess.Popen(command, env=environment, stderr=file, cwd=ROOT)
        try:
            end = time.monotonic() + SECONDS
            while not history.exists() or history.read_text().count("\n") < ROUNDS:
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < end, log.read_text()[-3000:]
                time.sleep(0.1)  # between two polls with a deadline
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=40)
        groups = [group for data in daemon.published for group in GroupBatch.decode(data).groups]
    assert code == 0
    records = [json.loads(line) for line in history.read_text().splitlines()]
    assert all(record["result"] == "ok" for record in records)
    rewards = [record["own_reward"] for record in records]
    first, last = sum(rewards[:WINDOW]) / WINDOW, sum(rewards[ROUNDS - WINDOW : ROUNDS]) / WINDOW
    print(f"reward {first:.3f} -> {last:.3f}")
    assert last >= first + 0.15, rewards
    assert {group.task.partition("@")[0] for group in groups} == {"larger_number"}
    assert all(group.question.startswith("Which number is larger") for group in groups)
