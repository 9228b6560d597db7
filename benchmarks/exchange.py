"""What one exchange costs, ours against genrl's, on one swarm of real p2pds: bytes, wall time, busiest uploader.

    python benchmarks/exchange.py [--json] [--peers 8,16,32,64] [--payloads 2x2,9x8] [--rounds 3] [--want 4]

Four Python processes hold N/4 peers each, one p2pd per peer (`benchmarks/exchange_peers.py`). In every round all peers
publish, then all collect: first by the product's own parts (shelf, servicer, membership, collector: J batches from
random peers), then by gensyn-genrl 0.1.11's own `HivemindBackend.all_gather_object` over stock hivemind storage on the
same p2pds. Bytes are the payloads of all unary calls that a peer's p2pd makes and serves (DHT and exchange alike).
Figures are medians over the rounds; `rx` is the median peer's, `tx_max` the busiest uploader's, in payloads.
genrl sleeps one second in each gather; `genrl_seconds` has it, as its users do. A size whose genrl round takes longer
than --patience is not repeated. `genrl_gathers` is false where genrl got less than 90 % of all batches, or more than
half of the bytes sent never arrived (`genrl_lost`: its one dictionary no longer fits into a message). What was received
says little then, so such a row is held to what the mean peer sent. Exit code 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROCESSES = 4
_START_SECONDS = 240.0
_SETTLE_SECONDS = 120.0
_QUIET_SECONDS = 4
FLAT, MARGIN, UPLOADS, FASTER = 0.20, 1.3, 15.0, 20.0
# genrl's figures are those of a gather that failed where it got fewer of the batches, or lost more of the bytes sent
GATHERED, LOST = 0.9, 0.5
FEWER = {32: 30.0, 64: 100.0}  # times fewer bytes than genrl, by number of peers


class Host:
    """One child process with some of the peers."""

    def __init__(self, directory: Path, first: int, count: int, peers: int) -> None:
        path = os.pathsep.join(str(ROOT / part) for part in ("services", "build/genrl"))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
        self._log = (directory / f"host-{first}.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "exchange_peers.py"), str(directory)]
            + [str(number) for number in (first, count, peers)],
            env={**environment, "PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            text=True,
        )  # fmt: skip

    def ask(self, **command: Any) -> Any:
        """Send one command, wait for its answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a host ended: {Path(self._log.name).read_text()[-2000:]}")
        return json.loads(line)

    def close(self) -> None:
        """End it; its p2pds end with it."""
        self._process.kill()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            stream.close()


class Swarm:
    """All hosts; commands go to all of them at once."""

    def __init__(self, directory: Path, peers: int) -> None:
        each = [peers // PROCESSES + (number < peers % PROCESSES) for number in range(PROCESSES)]
        self._pool = ThreadPoolExecutor(PROCESSES)
        self._hosts = [Host(directory, sum(each[:number]), count, peers) for number, count in enumerate(each)]

    def all(self, **command: Any) -> list[Any]:
        """The answers of all peers, in order."""
        answers = self._pool.map(lambda host: host.ask(**command), self._hosts, timeout=_START_SECONDS)
        return [entry for answer in answers for entry in answer]

    def start(self, peers: int) -> None:
        """Start the peers, join them through the first, wait until each knows nearly all others."""
        addresses = self.all(do="start")
        self.all(do="join", address=addresses[0])
        end = time.monotonic() + _START_SECONDS
        enough = min(peers - 1, 20)
        while min(known := self.all(do="known")) < enough:
            if time.monotonic() > end:
                raise RuntimeError(f"the swarm did not come together: {sorted(known)}")
            time.sleep(0.5)

    def settle(self, payload: float) -> None:
        """Wait until nearly nothing has been on its way for seconds: genrl's calls go on after a gather that gave up,
        with pauses in which a host unpacks megabytes."""
        end, before, quiet = time.monotonic() + _SETTLE_SECONDS, -math.inf, 0
        while quiet < _QUIET_SECONDS:
            if time.monotonic() > end:
                raise RuntimeError("the swarm does not come to rest between two rounds")
            time.sleep(1.0)  # between two looks with a deadline
            now = sum(entry["tx"] for entry in self.all(do="counted"))
            quiet = quiet + 1 if now <= before + payload else 0
            before = now

    def close(self) -> None:
        """End everything."""
        for host in self._hosts:
            host.close()
        self._pool.shutdown()


def run_round(swarm: Swarm, kind: str, number: int, questions: int, completions: int, want: int) -> dict[str, Any]:
    """One exchange of everybody."""
    shape = {"questions": questions, "completions": completions}
    payload = statistics.median(swarm.all(do="prepare", kind=kind, number=number, **shape))
    swarm.settle(payload)
    swarm.all(do="reset")
    results = swarm.all(do=kind, number=number, want=want * questions)
    counted = swarm.all(do="counted")
    return {
        "payload": payload,
        "rx": statistics.median(entry["rx"] for entry in counted),
        "rx_mean": statistics.mean(entry["rx"] for entry in counted),
        "tx_max": max(entry["tx"] for entry in counted) / payload,
        "sent": statistics.mean(entry["tx"] for entry in counted),
        "lost": 1.0 - sum(entry["rx"] for entry in counted) / sum(entry["tx"] for entry in counted),
        "seconds": statistics.median(result["seconds"] for result in results),
        "got": statistics.median(result["got"] for result in results),
    }


def measure(
    peers: int, shapes: list[tuple[int, int]], rounds: int, want: int, patience: float, kinds: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Rows of one swarm size."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as directory:
        swarm = Swarm(Path(directory), peers)
        try:
            swarm.start(peers)
            number = 0
            for questions, completions in shapes:
                found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in kinds}
                for _ in range(rounds):
                    number += 1
                    for kind in found:
                        if kind == "genrl" and found[kind] and found[kind][-1]["seconds"] > patience:
                            continue
                        found[kind].append(run_round(swarm, kind, number, questions, completions, want))
                rows.append(row(peers, f"{questions}x{completions}", want, found))
                print(rows[-1], file=sys.stderr, flush=True)
        finally:
            swarm.close()
    return rows


def row(peers: int, shape: str, want: int, found: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians over the rounds of one size and payload."""

    def median(kind: str, name: str) -> float:
        return statistics.median(entry[name] for entry in found[kind])

    payload = median("ours", "payload")
    ours = {
        "peers": peers,
        "shape": shape,
        "payload": payload,
        "rx": median("ours", "rx"),
        "rx_mean": round(median("ours", "rx_mean")),
        "rx_per_wanted": round(median("ours", "rx") / (want * payload), 3),
        "tx_max": round(median("ours", "tx_max"), 2),
        "seconds": round(median("ours", "seconds"), 4),
        "got": median("ours", "got"),
    }
    if not found.get("genrl"):
        return ours
    return ours | {
        "genrl_rx": median("genrl", "rx"),
        "genrl_tx_max": round(median("genrl", "tx_max"), 1),
        "genrl_seconds": round(median("genrl", "seconds"), 3),
        "genrl_got": median("genrl", "got"),
        "genrl_rounds": len(found["genrl"]),
        "genrl_sent": round(median("genrl", "sent")),
        "genrl_lost": round(median("genrl", "lost"), 3),
        "genrl_gathers": median("genrl", "got") >= GATHERED * peers and median("genrl", "lost") <= LOST,
        "times_fewer_sent": round(median("genrl", "sent") / median("ours", "sent"), 1),
        "times_fewer_bytes": round(median("genrl", "rx") / median("ours", "rx"), 1),
        "times_faster": round(median("genrl", "seconds") / median("ours", "seconds"), 1),
    }


def checks(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """The limits of the issue, by name."""
    found: dict[str, bool] = {}
    for shape in sorted({row["shape"] for row in rows}):
        received = [row["rx"] for row in rows if row["shape"] == shape]
        middle = statistics.median(received)
        found[f"{shape}: bytes do not grow"] = all(abs(value - middle) <= FLAT * middle for value in received)
    for row in rows:
        name = f"{row['shape']} at {row['peers']}"
        found[f"{name}: bytes within 1.3 x J payloads"] = row["rx_per_wanted"] <= MARGIN
        found[f"{name}: busiest uploader"] = row["tx_max"] <= UPLOADS
        if "genrl_rx" not in row:
            continue
        if row["peers"] in FEWER and not row["genrl_gathers"]:
            found[f"{name}: fewer bytes sent than by genrl in vain"] = row["times_fewer_sent"] >= FEWER[row["peers"]]
        elif row["peers"] in FEWER:
            found[f"{name}: fewer bytes than genrl"] = row["times_fewer_bytes"] >= FEWER[row["peers"]]
        if row["peers"] == 32:
            found[f"{name}: faster than genrl"] = row["times_faster"] >= FASTER
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--peers", default="8,16,32,64")
    parser.add_argument("--payloads", default="2x2,9x8", help="questions x completions, comma separated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--want", type=int, default=4, help="J, external batches a peer wants")
    parser.add_argument("--ours-only", action="store_true", help="leave genrl out: what an exchange costs, in a minute")
    parser.add_argument("--patience", type=float, default=20.0)
    options = parser.parse_args()
    subprocess.run([str(ROOT / "scripts" / "install-genrl"), sys.executable], check=True, timeout=300)
    shapes = [(int(part.split("x")[0]), int(part.split("x")[1])) for part in options.payloads.split(",")]
    rows: list[dict[str, Any]] = []
    before = os.getloadavg()[0]
    kinds = ("ours",) if options.ours_only else ("ours", "genrl")
    for peers in map(int, options.peers.split(",")):
        rows += measure(peers, shapes, options.rounds, options.want, options.patience, kinds)
    found = checks(rows)
    report = {"rows": rows, "checks": found, "ok": all(found.values()), "cores": len(os.sched_getaffinity(0)),
              "load_1m_before": before}  # fmt: skip
    if options.json:
        print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
