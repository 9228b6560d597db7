"""Does a worker's memory stay flat? Resident size around round 100 against round 2,000, on the embedded model.

    python benchmarks/memory_flat.py [--json] [--rounds 2000]

A real `swarm-node` process on a chain that never makes it wait, with another peer's groups in every round, evaluations,
checkpoints, history and TensorBoard files. Rounds are small (two questions, four completions, 96 tokens), so that 2,000
take minutes. Resident sizes are read from /proc after each round; medians of twenty rounds are compared. Exit code 1
when they differ by more than 2 %.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.fast_chain import FastChain
from tests.support.resume_run import ROOT, environment, foreign_groups, records_of
from tests.support.stub_daemon import StubDaemon

from swarm_core.resident import resident_bytes

FIRST, WINDOW, TOLERANCE = 100, 20, 0.02
_ROUND_SECONDS = 20.0  # no round may take longer


def measure(directory: Path, rounds: int) -> dict[str, Any]:
    """The report; AssertionError when the worker ends or a round takes too long."""
    for name in ("run", "state"):
        (directory / name).mkdir()
    history, log = directory / "state" / "history.jsonl", directory / "log.txt"
    sizes: dict[int, float] = {}
    began = time.monotonic()
    with FastChain() as chain, StubDaemon(directory / "run" / "dht.sock") as daemon, log.open("w") as file:
        daemon.batches = foreign_groups(400)
        variables = environment(directory, chain.url) | {
            "SWARM_NUM_QUESTIONS": "2", "SWARM_NUM_GENERATIONS": "4", "SWARM_NUM_EXTERNAL": "2",
            "SWARM_MAX_COMPLETION_LENGTH": "96",
        }  # fmt: skip
        process = subprocess.Popen([sys.executable, "-m", "swarm_node.main"], env=variables, stderr=file, cwd=ROOT)
        try:
            last, changed = -1, time.monotonic()
            while last < rounds:
                found = records_of(history)
                newest = found[-1]["training_round"] if found else -1
                if newest != last:
                    last, changed = newest, time.monotonic()
                    sizes[newest] = resident_bytes(process.pid) / 1e6
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() - changed < _ROUND_SECONDS + 60 * (last < 0), log.read_text()[-3000:]
                time.sleep(0.05)  # between two polls with a deadline
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)
    early, late = around(sizes, FIRST), around(sizes, rounds - WINDOW)
    points = {str(number): round(around(sizes, number), 1) for number in range(FIRST, rounds - WINDOW, 200)}
    return {
        "rounds": rounds, "seconds": round(time.monotonic() - began), "rss_mb": points | {str(rounds): round(late, 1)},
        "change": round(late / early - 1, 4), "tolerance": TOLERANCE, "ok": abs(late / early - 1) <= TOLERANCE,
        "exit_code": process.returncode, "load_1m": round(os.getloadavg()[0], 2),
    }  # fmt: skip


def around(sizes: dict[int, float], number: int) -> float:
    """Median over the rounds from `number` on."""
    return statistics.median(size for done, size in sizes.items() if number <= done < number + WINDOW)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-flat-") as name:
        report = measure(Path(name), options.rounds)
    print(json.dumps(report) if options.json else json.dumps(report, indent=2))
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
