"""A mixed swarm: does every peer use others' groups, whatever its speed, model, tokenizer and group size?

    python benchmarks/mixed.py [--json] [--minutes 6]

Five real nodes (daemon and worker each) on loopback, without a chain: two on the embedded model, one of the same that
is stopped for 19/20 of the time (20 times slower), one with a Llama of random weights and a tokenizer of bytes, one
with five completions a question. A round counts as using external groups when at least one entered its step; the first
two rounds of each worker are left out. Exit code 1 unless every peer used some in at least 80 % of its rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx
from tests.support.daemons import Daemon, Daemons, daemons_below
from tests.support.small_llama import make_llama

ROOT = Path(__file__).resolve().parents[1]
SHARE, SKIPPED, SLOWER = 0.8, 2, 20
_PERIOD_SECONDS = 1.0


class Node:
    """A daemon with a worker on its socket."""

    def __init__(self, daemon: Daemon, **settings: str) -> None:
        self.daemon = daemon
        run, state = daemon.directory / "run", daemon.directory / "state"
        state.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
        environment = {
            **inherited,
            "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("services", "node")),
            "OMP_NUM_THREADS": "1",
            "SWARM_RUN_DIR": str(run),
            "SWARM_STATE_DIR": str(state),
            "SWARM_RPC_URL": "http://127.0.0.1:9",  # nobody listens there: rounds by the node's own clock
            "SWARM_DEPLOYMENT_FILE": str(state / "none.json"),
            "SWARM_LOGIN_URL": "http://127.0.0.1:9",
            "SWARM_API_TOKEN_FILE": str(state / "token"),
            "SWARM_DEVICE": "cpu",
            "SWARM_TASKS": "embedded",
            "SWARM_EVAL_STEPS": "0",
            "SWARM_EXCHANGE_SECONDS": "4",
            **settings,
        }
        with (daemon.directory / "worker.log").open("wb") as log:
            command = [sys.executable, "-m", "swarm_node.main"]
            self.process = subprocess.Popen(command, env=environment, stderr=log, stdout=log, cwd=state)
        self.http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(run / "node.sock")), base_url="http://node", timeout=120
        )

    def history(self) -> list[dict[str, Any]]:
        """The rounds it finished."""
        found: list[dict[str, Any]] = self.http.get("/v1/history?limit=500").raise_for_status().json()
        return found

    def close(self) -> None:
        """End the worker, stopped or not."""
        self.process.kill()
        self.process.wait(20)
        self.http.close()


def throttle(process: subprocess.Popen[bytes], over: threading.Event) -> None:
    """Let `process` run for one part in `SLOWER` of the time."""
    while not over.is_set() and process.poll() is None:
        process.send_signal(signal.SIGSTOP)
        over.wait(_PERIOD_SECONDS * (SLOWER - 1) / SLOWER)
        process.send_signal(signal.SIGCONT)
        over.wait(_PERIOD_SECONDS / SLOWER)


def started(nodes: dict[str, Node], seconds: float) -> None:
    """Wait until every worker has finished a round: only then is one slowed down."""
    end = time.monotonic() + seconds
    for name, node in nodes.items():
        while True:
            try:
                if node.history():
                    break
            except httpx.HTTPError:
                pass
            if time.monotonic() > end or node.process.poll() is not None:
                log = (node.daemon.directory / "worker.log").read_text()[-2000:]
                raise RuntimeError(f"{name} did not finish a round:\n{log}")
            time.sleep(0.5)


def play(made: Daemons, model: Path, seconds: float) -> dict[str, list[dict[str, Any]]]:
    """The rounds of each peer."""
    bootnode = made.start("bootnode").up()
    kinds: dict[str, dict[str, str]] = {
        "embedded1": {},
        "embedded2": {"SWARM_SEED": "7"},
        "slow": {"SWARM_SEED": "8"},
        "llama": {"SWARM_MODEL": str(model), "SWARM_NUM_QUESTIONS": "4", "SWARM_NUM_GENERATIONS": "4",
                  "SWARM_NUM_EXTERNAL": "4", "SWARM_MAX_COMPLETION_LENGTH": "24"},
        "groups of 5": {"SWARM_NUM_GENERATIONS": "5", "SWARM_SEED": "9"},
    }  # fmt: skip
    nodes = {
        name: Node(made.start(name.replace(" ", ""), bootnode.address).up(), **kind) for name, kind in kinds.items()
    }
    over = threading.Event()
    slowing = threading.Thread(target=throttle, args=(nodes["slow"].process, over))
    try:
        started(nodes, 180.0)
        slowing.start()
        time.sleep(seconds)
    finally:
        over.set()
        if slowing.ident is not None:
            slowing.join()
        histories = {name: node.history() for name, node in nodes.items() if node.process.poll() is None}
        for node in nodes.values():
            node.close()
    return histories


def report(histories: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Shares by peer."""
    rows: dict[str, dict[str, Any]] = {}
    for name, history in histories.items():
        rounds = history[SKIPPED:]
        used = [len(record["external"]) for record in rounds]
        rows[name] = {
            "rounds": len(rounds),
            "failed": sum(record["result"] != "ok" for record in rounds),
            "share": round(sum(count > 0 for count in used) / len(used), 3) if used else 0.0,
            "mean_used": round(sum(used) / len(used), 2) if used else 0.0,
            "senders": len({group["peer"] for record in rounds for group in record["external"]}),
        }
    return {"peers": rows, "ok": all(row["share"] >= SHARE and not row["failed"] for row in rows.values())}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--minutes", type=float, default=6.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, daemons_below(Path(name)) as made:
        model = Path(name) / "llama"
        make_llama(model)
        found = report(play(made, model, options.minutes * 60))
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))
    sys.exit(0 if found["ok"] else 1)


if __name__ == "__main__":
    main()
