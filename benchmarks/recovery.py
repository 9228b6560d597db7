"""How long until the exchange works again after a violent end? Real daemons on loopback, each fault many times.

    python benchmarks/recovery.py [--json] [--trials 20] [--faults p2pd_kill,p2pd_stop,...]

Faults: `p2pd_kill` (SIGKILL of one daemon's p2pd), `p2pd_stop` (SIGSTOP), `daemon_kill` (SIGKILL of the daemon, started
again at once, as a container's restart policy does), `bootnodes` (every bootnode killed until the peer says `isolated`;
the time counts from the moment at which one that returned serves its socket) and `clock_jump` (the daemon's wall clock
moves by an hour; the time counts until the status says so). After each fault the peer must collect another's groups
("own") and, where it has a p2pd of its own to lose, be collected from ("remote"); its peer id must be the same, no
process may be left over and no p2pd socket leak. Exit code 1 when a median is above its limit or one of these fails.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.daemons import Daemon, Daemons, alive, children, daemons_below, group, poll

LIMITS = {"p2pd_kill": 0.5, "p2pd_stop": 3.0, "daemon_kill": 6.0, "bootnodes": 10.0, "clock_jump": 10.0}
_PATIENCE = 60.0
_SETTLE = 0.6  # a p2pd that dies within half a second counts as one that cannot start, and is given pauses


@dataclass
class Trials:
    """Seconds of each trial, and what went wrong beside the time."""

    own: list[float] = field(default_factory=list)
    remote: list[float] = field(default_factory=list)
    changed_ids: int = 0
    orphans: int = 0
    leaked_sockets: int = 0
    errors: int = 0


def collected(daemon: Daemon, peer: str, since: float) -> float:
    """Seconds from `since` until `daemon` has a batch of `peer`."""

    def look() -> float:
        try:
            batches, _ = daemon.collect(want=100, deadline_ms=3000)
        except httpx.HTTPError:  # the socket is not there yet
            return 0.0
        return time.monotonic() - since if peer in batches else 0.0

    return float(poll(look, _PATIENCE, f"exchange with {peer}"))


def sockets_of(daemon: Daemon) -> list[Path]:
    """p2pd control sockets in the daemon's private directory."""
    line = Path(f"/proc/{daemon.p2pd}/cmdline").read_text().replace("\0", " ")
    return list(Path(line.split("-listen=/unix")[1].split()[0]).parent.glob("hivemind-*.sock"))


class Recovery:
    """A bootnode, a second one, and two peers; faults hit `one`."""

    def __init__(self, made: Daemons) -> None:
        self.offset = 0
        self.boots = [made.start("boot1").up(), made.start("boot2").up()]
        names = ",".join(boot.address for boot in self.boots)
        self.two = made.start("two", names)
        self.one = made.start("one", names)
        for daemon in (self.one, self.two):
            daemon.wait(lambda status: status["peers"] == 3)
        self.publish()
        self.ids = {daemon: daemon.status()["peer_id"] for daemon in (self.one, self.two)}
        for daemon, other in ((self.one, self.two), (self.two, self.one)):
            collected(daemon, self.ids[other], time.monotonic())

    def publish(self) -> None:
        """Both have groups to give."""
        self.one.publish(1, group(1))
        self.two.publish(1, group(2))

    def after(self, trials: Trials, since: float, remote: bool) -> None:
        """Wait for the exchange, then look for what was left behind."""
        pairs = [(self.one, self.two)] + ([(self.two, self.one)] if remote else [])
        with ThreadPoolExecutor(2) as pool:
            answers = [pool.submit(collected, daemon, self.ids[other], since) for daemon, other in pairs]
        trials.own.append(answers[0].result())
        if remote:
            trials.remote.append(answers[1].result())
        status = self.one.wait(lambda status: status["state"] == "ready", _PATIENCE)
        trials.changed_ids += status["peer_id"] != self.ids[self.one]
        # one p2pd has a control and a client socket
        trials.leaked_sockets += len(sockets_of(self.one)) > 2
        trials.orphans += len(children(self.one.pid)) > 1
        time.sleep(_SETTLE)

    def p2pd_kill(self, trials: Trials) -> None:
        """SIGKILL of p2pd."""
        since = time.monotonic()
        os.kill(self.one.p2pd, signal.SIGKILL)
        self.after(trials, since, remote=True)

    def p2pd_stop(self, trials: Trials) -> None:
        """SIGSTOP of p2pd: it is alive and answers nothing."""
        stopped, since = self.one.p2pd, time.monotonic()
        os.kill(stopped, signal.SIGSTOP)
        self.after(trials, since, remote=True)
        trials.orphans += alive(stopped)

    def daemon_kill(self, trials: Trials) -> None:
        """SIGKILL of the daemon, started again at once; the worker publishes again, as it does for a new instance."""
        p2pd, since = self.one.p2pd, time.monotonic()
        self.one.kill()
        self.one.start()
        self.one.wait(lambda status: status["generation"] > 0)
        self.one.publish(1, group(1))
        self.after(trials, since, remote=True)
        trials.orphans += alive(p2pd)

    def bootnodes(self, trials: Trials) -> None:
        """All bootnodes and the other peer go; one bootnode returns."""
        for daemon in (*self.boots, self.two):
            daemon.kill()
        self.one.wait(lambda status: status["state"] == "isolated", _PATIENCE)
        back = self.boots[len(trials.own) % 2]
        back.start().up()
        since = time.monotonic()
        self.one.wait(lambda status: status["state"] == "ready", _PATIENCE)
        trials.own.append(time.monotonic() - since)
        for daemon in (*self.boots, self.two):
            if daemon is not back:
                daemon.start()
        for daemon in (*self.boots, self.two):
            daemon.wait(lambda status: status["peers"] == 3)
        self.publish()
        trials.changed_ids += self.one.status()["peer_id"] != self.ids[self.one]

    def clock_jump(self, trials: Trials) -> None:
        """An hour forward, then back again: both jumps must be told, the first as `clock_skew` too."""
        before = self.one.status()["clock_jumps"]
        since = time.monotonic()
        self.one.set_clock(3600.0)
        status = self.one.wait(lambda status: status["state"] == "clock_skew", _PATIENCE)
        trials.own.append(time.monotonic() - since)
        trials.errors += status["clock_jumps"] != before + 1
        self.one.set_clock(0.0)
        # the way back must have been seen too: with the next jump inside the same second neither could be
        self.one.wait(lambda status: status["state"] == "ready" and status["clock_jumps"] == before + 2, _PATIENCE)


def measure(faults: list[str], count: int, directory: Path) -> dict[str, Any]:
    """The report."""
    report: dict[str, Any] = {"trials": count, "load_1m": os.getloadavg()[0], "cores": len(os.sched_getaffinity(0))}
    with daemons_below(directory) as made:
        swarm = Recovery(made)
        for name in faults:
            trials = Trials()
            fault: Callable[[Trials], None] = getattr(swarm, name)
            for _ in range(count):
                fault(trials)
            report[name] = figures(name, trials)
            print(f"{name}: {report[name]}", file=sys.stderr)
    report["load_1m_after"] = os.getloadavg()[0]
    report["ok"] = all(report[name]["ok"] for name in faults)
    return report


def figures(name: str, trials: Trials) -> dict[str, Any]:
    """Medians, worst cases and faults of one kind of trial."""
    clean = not (trials.changed_ids or trials.orphans or trials.leaked_sockets or trials.errors)
    median = statistics.median(trials.own)
    found: dict[str, Any] = {
        "limit": LIMITS[name],
        "median": round(median, 3),
        "worst": round(max(trials.own), 3),
        "changed_ids": trials.changed_ids,
        "orphans": trials.orphans,
        "leaked_sockets": trials.leaked_sockets,
        "errors": trials.errors,
    }
    if trials.remote:
        found |= {"remote_median": round(statistics.median(trials.remote), 3), "remote_worst": max(trials.remote)}
    return found | {"ok": clean and median <= LIMITS[name]}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--faults", default=",".join(LIMITS), help="comma separated")
    options = parser.parse_args()
    faults = [name for name in options.faults.split(",") if name]
    if unknown := set(faults) - set(LIMITS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as directory:
        report = measure(faults, options.trials, Path(directory))
    if options.json:
        print(json.dumps(report))
    sys.exit(0 if report["ok"] else 1)


if __name__ == "__main__":
    main()
