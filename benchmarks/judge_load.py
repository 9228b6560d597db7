"""Load on a real judge over a real chain: `make load-judge`; the last line is one JSON object.

Open loop: requests start on a fixed schedule whatever the judge does, so a slow judge cannot slow its own load down. A
third each are signed requests for a question, answers, and reads (clue, leaderboard). Every second one hostile request
is sent beside them (a megabyte, deep nesting, a huge answer, or an answer in a session of its own that is made to keep
a scorer busy); what others pay for it is the difference of their median
latency in the 100 ms after it and otherwise. Judge, chain and load generator share the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support.chains import Anvil, anvil_binary, deploy_chain
from tests.support.judge_host import JudgeProcess, register

from swarm_core.identity import PeerKey
from swarm_core.resident import resident_bytes

PEERS = 120
HOSTILE: tuple[bytes, ...] = (
    b'{"session_id":"' + b"0" * 32 + b'","round_number":0,"user_answer":"' + b"9" * 2**20 + b'"}',
    b'{"user_answer":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    b'{"session_id":"' + b"0" * 32 + b'","round_number":0,"user_answer":"' + b"(" * 40_000 + b'"}',
)
# answers in a session of their own, so that the scorer gets them: long, nested, exponential, huge
BOMBS = (
    "<answer>" * 7000 + "</answer>",
    "<answer>" + "(" * 500 + "</answer>",
    "<answer>" + "∧".join("abcdefghijklmnopqrstuvwxyz") + "</answer>",
    "<answer>9**9**9**9</answer>",
    "<answer>" + "9" * 512 + "</answer>",
    "<answer>" + "[" * 512 + "</answer>",
)
AFTER_HOSTILE_SECONDS = 0.1


class Load:
    """Sends, measures, counts."""

    def __init__(self, judge: JudgeProcess, keys: list[PeerKey]) -> None:
        self.judge, self.keys = judge, keys
        limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
        self.http = httpx.AsyncClient(base_url=judge.url, timeout=30.0, trust_env=False, limits=limits)
        self.seconds: list[tuple[float, float]] = []  # start, duration
        self.statuses: Counter[str] = Counter()
        self.hostile_at: list[float] = []
        self.bombs: Counter[str] = Counter()
        self.sessions: list[tuple[PeerKey, str]] = []
        self.idle = list(keys)

    async def one(self, number: int) -> None:
        """The request that is due."""
        kind = number % 3
        if kind == 0 and self.idle:
            await self._ask(self.idle.pop(0))
        elif kind == 1 and self.sessions:
            key, session = self.sessions.pop(0)
            body = {"session_id": session, "round_number": 0, "user_answer": f"<answer>{number}</answer>"}
            await self._send("POST", "/submit-answer/", body)
            self.idle.append(key)
        else:
            await self._send("GET", "/current_clue/" if number % 2 else "/leaderboard?limit=20")

    async def _ask(self, key: PeerKey) -> None:
        body = {"user_id": key.peer_id, "round_number": 0, "model_name": "load"}
        answer = await self._send("POST", "/request-question/", {**body, "proof": self.judge.proof(key, 0, "load")})
        if answer is not None and answer.status_code == 200:
            self.sessions.append((key, answer.json()["session_id"]))
        else:
            self.idle.append(key)

    async def _send(self, method: str, path: str, body: Any = None) -> httpx.Response | None:
        began = time.perf_counter()
        try:
            answer = await self.http.request(method, path, json=body)
        except httpx.HTTPError as error:
            self.statuses[type(error).__name__] += 1
            return None
        self.seconds.append((began, time.perf_counter() - began))
        self.statuses[str(answer.status_code)] += 1
        return answer

    async def hostile(self, number: int) -> None:
        """One hostile request, not among the measured ones."""
        self.hostile_at.append(time.perf_counter())
        try:
            if number % 2 and self.sessions:
                key, session = self.sessions.pop(0)
                body = {"session_id": session, "round_number": 0, "user_answer": BOMBS[number // 2 % len(BOMBS)]}
                answer = await self.http.post("/submit-answer/", json=body)
                self.bombs[f"{answer.status_code} {answer.text[:40]}"] += 1
                self.idle.append(key)
                return
            content = HOSTILE[number % len(HOSTILE)]
            await self.http.post("/submit-answer/", content=content, headers={"content-type": "application/json"})
        except httpx.HTTPError:
            pass

    async def run(self, rate: float, seconds: float) -> None:
        """`rate` requests a second for `seconds`."""
        began, running = time.perf_counter(), set()
        for number in range(int(rate * seconds)):
            wait = began + number / rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks = [asyncio.ensure_future(self.one(number))]
            if number % int(rate) == 0:
                tasks.append(asyncio.ensure_future(self.hostile(number // int(rate))))
            for task in tasks:
                running.add(task)
                task.add_done_callback(running.discard)
        await asyncio.gather(*running)
        await self.http.aclose()

    def hostile_cost_ms(self) -> float:
        """Median latency of others just after a hostile request, less the median otherwise."""
        after, other = [], []
        marks = iter(sorted(self.hostile_at))
        mark, following = float("-inf"), next(marks, float("inf"))
        for began, taken in sorted(self.seconds):
            while began >= following:
                mark, following = following, next(marks, float("inf"))
            (after if began - mark < AFTER_HOSTILE_SECONDS else other).append(taken)
        return 1000 * (statistics.median(after) - statistics.median(other)) if after and other else 0.0


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and of all that descend from it and live."""
    total = 0.0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(stat.parent.name)
        if number == pid or int(fields[1]) == pid:
            total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            if number != pid:
                total += cpu_seconds(number) - (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


async def measure(judge: JudgeProcess, keys: list[PeerKey], rate: float, seconds: float) -> dict[str, Any]:
    """The whole measurement; memory is compared after the first fifth, when caches are filled."""
    assert judge.process is not None
    load, sizes = Load(judge, keys), []

    async def watch() -> None:
        while True:
            sizes.append(resident_bytes(judge.process.pid if judge.process else 0))
            await asyncio.sleep(1.0)

    before = cpu_seconds(judge.process.pid)
    watching = asyncio.ensure_future(watch())
    await load.run(rate, seconds)
    watching.cancel()
    cpu = cpu_seconds(judge.process.pid) - before
    taken = sorted(duration for _, duration in load.seconds)
    server_errors = sum(count for status, count in load.statuses.items() if not status.startswith(("2", "4")))
    warm = sizes[len(sizes) // 5]
    result = {
        "requests": len(taken),
        "rate_per_s": rate,
        "seconds": seconds,
        "p50_ms": round(1000 * taken[len(taken) // 2], 2),
        "p99_ms": round(1000 * taken[int(len(taken) * 0.99)], 2),
        "max_ms": round(1000 * taken[-1], 1),
        "statuses": dict(load.statuses),
        "errors_5xx_or_none": server_errors,
        "judge_cpu_ms_per_request": round(1000 * cpu / max(len(taken), 1), 2),
        "rss_mib_warm": round(warm / 2**20, 1),
        "rss_mib_end": round(sizes[-1] / 2**20, 1),
        "hostile_requests": len(load.hostile_at),
        "bombs_in_sessions": dict(load.bombs),
        "hostile_cost_ms": round(load.hostile_cost_ms(), 2),
        "load_average": round(os.getloadavg()[0], 1),
        "cpus": os.cpu_count(),
    }
    result["ok"] = bool(
        result["p99_ms"] < 150
        and server_errors == 0
        and result["hostile_cost_ms"] < 50
        and (load.bombs or seconds < 20)
        and sizes[-1] < warm * 1.15 + 8 * 2**20
    )
    return result


def main() -> None:
    """Exit 1 when a bound is not kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the JSON object only")
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        anvil = Anvil(anvil_binary())
        try:
            chain = deploy_chain(anvil, Path(directory) / "chain")
            keys = asyncio.run(register(chain, PEERS))
            judge = JudgeProcess(chain, Path(directory) / "judge", SWARM_JUDGE_QUESTIONS_PER_ROUND="1000")
            try:
                result = asyncio.run(measure(judge, keys, arguments.rate, arguments.seconds))
            finally:
                judge.stop()
        finally:
            anvil.stop(kill=True)
    print(json.dumps(result))
    sys.exit(0 if result["ok"] else 1)


if __name__ == "__main__":
    main()
