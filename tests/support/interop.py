"""Two genuine upstream peers and two of our daemons in one swarm, and what each read of the others in each round."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.daemons import ROOT, Daemon, daemons_below, poll

from swarm_core.genrl_records import Question, encode_questions
from swarm_core.records import GroupBatch
from swarm_node.tasks import TaskSet

GENRL = ROOT / "build" / "genrl"
_START_SECONDS = 120.0
_ROUND_SECONDS = 30.0


@dataclass
class Report:
    """What happened. `missing`: each (round, reader, author) whose payload was not decoded as it was written."""

    rounds: int = 0
    decoded: int = 0
    missing: list[tuple[int, str, str]] = field(default_factory=list)
    verified: int = 0
    unverified: int = 0
    seconds: list[float] = field(default_factory=list)
    compat: list[dict[str, Any]] = field(default_factory=list)
    metrics: str = ""


class Genuine:
    """One upstream process."""

    def __init__(self, directory: Path, address: str, first: int, questions: int, completions: int) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
        arguments = [address, *map(str, (first, questions, completions))]
        self._log = (directory / f"genuine-{first}.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "interop" / "genuine_peer.py"), *arguments],
            env={**inherited, "PYTHONPATH": str(GENRL)}, cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._log, text=True, start_new_session=True,
        )  # fmt: skip
        self.peer = ""

    def wait(self) -> str:
        """Its peer id, once it has joined."""
        self.peer = self._line()["peer"]
        return self.peer

    def go(self) -> None:
        """Start its next gather."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def heard(self) -> dict[str, str]:
        """Peer → SHA-256 of the payload that it decoded in this gather."""
        found: dict[str, str] = self._line()["heard"]
        return found

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the genuine peer ended: {Path(self._log.name).read_text()[-2000:]}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it and what it forked."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 9)
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


@contextlib.contextmanager
def genuine_peers(directory: Path, address: str) -> Iterator[list[Genuine]]:
    """Two of them, joined: one with upstream's 2 x 2, one with another group size."""
    subprocess.run([str(ROOT / "scripts" / "install-genrl"), sys.executable], check=True, timeout=120)
    peers = [Genuine(directory, address, 0, 2, 2), Genuine(directory, address, 5000, 2, 4)]
    try:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Genuine.wait, peers, timeout=_START_SECONDS))
        yield peers
    finally:
        for peer in peers:
            peer.close()


def run(directory: Path, rounds: int) -> Report:
    """`rounds` rounds in which all four write and then all four read."""
    report, tasks = Report(rounds=rounds), TaskSet.load("rgym")
    with daemons_below(directory) as made:
        one = made.start("one", SWARM_DHT_COMPAT="genrl").up()
        two = made.start("two", one.address, SWARM_DHT_COMPAT="genrl").up()
        ours: list[Daemon] = [one, two]
        with genuine_peers(directory, one.address) as genuine:
            for daemon in ours:
                daemon.wait(lambda status: status["state"] == "ready" and status["peers"] == 3)
            for number in range(rounds):
                started = time.monotonic()
                _round(number, ours, genuine, tasks, report)
                report.seconds.append(time.monotonic() - started)
            report.compat = [daemon.status()["compat"] for daemon in ours]
            report.metrics = one.http.get("/metrics").text
    return report


def _round(number: int, ours: list[Daemon], genuine: list[Genuine], tasks: TaskSet, report: Report) -> None:
    for peer in genuine:
        peer.go()
    written: dict[str, str] = {}
    for daemon in ours:
        peer_id, data = daemon.status()["peer_id"], record(tasks, daemon.status()["peer_id"], number)
        written[peer_id] = hashlib.sha256(data).hexdigest()
        answer = daemon.http.put(f"/v1/genrl/{number}", content=data)
        assert answer.status_code == 200, answer.text
        assert answer.json()["replicas"] >= 1, "no other peer holds the record"
    for peer in genuine:
        heard = peer.heard()
        for author, digest in written.items():
            _note(report, heard.get(author) == digest, number, peer.peer, author)
    for daemon in ours:
        reader = daemon.status()["peer_id"]
        expected = {peer.peer for peer in genuine} | set(written) - {reader}
        found: dict[str, GroupBatch] = {}

        def read(daemon: Daemon = daemon, expected: set[str] = expected, found: dict[str, GroupBatch] = found) -> bool:
            found.update(daemon.collect(want=100, genrl_round=number)[0])
            return all(author in found and found[author].round == number for author in expected)

        with contextlib.suppress(AssertionError):  # what is missing then is reported
            poll(read, _ROUND_SECONDS, "every record")
        for author in sorted(expected):
            batch = found.get(author)
            _note(report, batch is not None and batch.round == number, number, reader, author)
            for group in batch.groups if batch is not None else ():
                if tasks.recompute(group.task, group.seed) is None:
                    continue  # held out here
                same = tasks.verify(group.task, group.seed, group.question, group.answer) is not None
                report.verified += same
                report.unverified += not same


def record(tasks: TaskSet, peer: str, number: int) -> bytes:
    """What one of our workers shares: two questions with two completions each."""
    questions = [
        Question(
            task.question,
            task.answer,
            task.entry["metadata"],
            task.name,
            task.seed,
            (f"<answer>{task.answer}</answer>", str(number)),
        )
        for task in tasks.sample("interop", peer, number, 2)
    ]
    return encode_questions(questions)


def _note(report: Report, decoded: bool, number: int, reader: str, author: str) -> None:
    if decoded:
        report.decoded += 1
    else:
        report.missing.append((number, reader, author))
