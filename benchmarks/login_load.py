"""Load on the login service, on a real local chain: `python benchmarks/login_load.py --json`.

1. 64 parallel password attempts by strangers: how much memory they cost, and how long the owner's passkey sign-in takes
   meanwhile. 2. A mixed load on the public listener (pages, style sheet, live part, wrong passwords, challenges) at a
   fixed rate, with the worker API used beside it: latencies, worst worker request, resident memory over time.
Prints one JSON object last. Figures of a machine with other work say so in `load_average`.
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.support.authenticator import Authenticator
from tests.support.chains import Anvil, anvil_binary, deploy_chain
from tests.support.login_service import Daemon, Login

from swarm_core.identity import generate_key, parse_key
from swarm_core.resident import resident_bytes

PASSWORD = "correct horse battery"  # noqa: S105 - of a service that lives for this run
ATTEMPTS = 64
MEGABYTE = 1_000_000


@dataclass
class Seen:
    """What a load saw. Latencies in seconds, memory in bytes."""

    public: list[float] = field(default_factory=list)
    worker: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)


def rss(login: Login) -> int:
    """Resident memory of the service."""
    if login.process is None:
        raise RuntimeError("the service does not run")
    return resident_bytes(login.process.pid)


def browser(login: Login) -> httpx.AsyncClient:
    """A client that sends the page's origin."""
    limits = httpx.Limits(max_connections=80)
    return httpx.AsyncClient(base_url=login.origin, headers={"origin": login.origin}, timeout=30.0, limits=limits)


async def claim(login: Login, key: Authenticator) -> None:
    """Claim with a password and add a passkey."""
    token = login.setup_token()
    async with browser(login) as owner:
        await owner.post("/claim", data={"token": token, "password": PASSWORD, "password_again": PASSWORD})
        offered = (await owner.post("/security/passkey/options", json={})).json()
        made = {"ticket": offered["ticket"], "credential": key.create(offered["options"], login.origin)}
        (await owner.post("/security/passkey", json=made)).raise_for_status()


async def passkey_sign_in(login: Login, key: Authenticator) -> float:
    """Seconds of a sign-in with the passkey, both steps and the first page."""
    started = time.monotonic()
    async with browser(login) as owner:
        offered = (await owner.post("/login/passkey/options", json={})).json()
        answer = {"ticket": offered["ticket"], "credential": key.get(offered["options"], login.origin)}
        (await owner.post("/login/passkey", json=answer)).raise_for_status()
        if (await owner.get("/security")).status_code != 200:
            raise RuntimeError("the passkey did not sign in")
    return time.monotonic() - started


async def passwords(login: Login, key: Authenticator) -> dict[str, Any]:
    """64 parallel attempts, and the owner among them."""
    before, peak, done = rss(login), 0, asyncio.Event()

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, rss(login))
            await asyncio.sleep(0.02)

    watcher = asyncio.create_task(watch())
    async with browser(login) as stranger:
        started = time.monotonic()
        attempts = [stranger.post("/login", data={"password": f"guess number {n}"}) for n in range(ATTEMPTS)]
        flood = asyncio.gather(*attempts)
        seconds = await passkey_sign_in(login, key)
        answers = await flood
        took = time.monotonic() - started
    done.set()
    await watcher
    statuses = [answer.status_code for answer in answers]
    return {
        "attempts": ATTEMPTS, "statuses": {str(code): statuses.count(code) for code in sorted(set(statuses))},
        "seconds": round(took, 2), "memory_rise_mb": round((peak - before) / MEGABYTE, 1),
        "passkey_sign_in_seconds": round(seconds, 3),
    }  # fmt: skip


async def mixed(login: Login, peer_id: str, seconds: float, rate: float) -> Seen:
    """`rate` requests a second on the public listener for `seconds`; a worker reports beside it, once a second."""
    seen, end = Seen(), time.monotonic() + seconds
    async with browser(login) as owner, browser(login) as stranger:
        await owner.post("/login", data={"password": PASSWORD})
        mix = [
            lambda: owner.get("/"), lambda: owner.get("/live"), lambda: owner.get("/security"),
            lambda: stranger.get("/static/page.css"), lambda: stranger.get("/login"), lambda: stranger.get("/healthz"),
            lambda: stranger.post("/login/passkey/options", json={}), lambda: owner.get("/settings"),
            lambda: stranger.get("/"), lambda: stranger.post("/login", data={"password": "wrong password"}),
        ]  # fmt: skip

        async def one(number: int) -> None:
            started = time.monotonic()
            answer = await mix[number % len(mix)]()
            seen.public.append(time.monotonic() - started)
            seen.statuses[answer.status_code] = seen.statuses.get(answer.status_code, 0) + 1

        async def work() -> None:
            number, body = 0, {"orgId": "local", "peerId": peer_id, "stageNumber": 0, "reward": 1}
            token = (login.directory / "token/token").read_text().strip()
            headers = {"authorization": f"Bearer {token}", "prefer": "respond-async"}
            base = f"http://127.0.0.1:{login.api_port}/api/"
            async with httpx.AsyncClient(base_url=base, headers=headers, timeout=30.0) as worker:
                while time.monotonic() < end:
                    started = time.monotonic()
                    await worker.post("submit-reward", json=body | {"roundNumber": number})
                    await worker.get("node-settings")
                    seen.worker.append(time.monotonic() - started)
                    seen.memory.append(rss(login))
                    number += 1
                    await asyncio.sleep(1.0)

        worker, tasks, number, started = asyncio.create_task(work()), set[asyncio.Task[None]](), 0, time.monotonic()
        while time.monotonic() < end:
            task = asyncio.create_task(one(number))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
        await asyncio.gather(*tasks, worker)
    return seen


def summary(seen: Seen, seconds: float, rate: float) -> dict[str, Any]:
    """The figures of a mixed load."""
    public = sorted(seen.public)
    third = max(1, len(seen.memory) // 3)
    first, last = statistics.median(seen.memory[:third]), statistics.median(seen.memory[-third:])
    return {
        "seconds": seconds, "requests_per_second": rate, "requests": len(public),
        "p50_ms": round(1000 * public[len(public) // 2], 1), "p99_ms": round(1000 * public[len(public) * 99 // 100], 1),
        "max_ms": round(1000 * public[-1], 1), "statuses": {str(k): v for k, v in sorted(seen.statuses.items())},
        "worker_max_ms": round(1000 * max(seen.worker), 1), "memory_first_mb": round(first / MEGABYTE, 1),
        "memory_last_mb": round(last / MEGABYTE, 1), "memory_peak_mb": round(max(seen.memory) / MEGABYTE, 1),
    }  # fmt: skip


def main() -> None:
    """Run both parts and print what was seen."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="print the figures as JSON (they are in any case)")
    parser.add_argument("--seconds", type=float, default=600.0, help="length of the mixed load")
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rlswarm-load-") as name:
        home = Path(name)
        anvil = Anvil(anvil_binary())
        login = Login(home / "login", deploy_chain(anvil, home))
        peer = parse_key(generate_key())
        daemon, key = Daemon(login.directory / "run/dht.sock", peer), Authenticator()
        try:
            login.start()
            asyncio.run(claim(login, key))
            flood = asyncio.run(passwords(login, key))
            time.sleep(7)  # the strangers' bucket refills: the owner of the next part signs in from the same address
            seen = asyncio.run(mixed(login, peer.peer_id, options.seconds, options.rate))
        finally:
            login.kill()
            daemon.close()
            anvil.stop(kill=True)
    result = {
        "passwords": flood, "mixed": summary(seen, options.seconds, options.rate), "cpus": os.cpu_count(),
        "load_average": [round(value, 1) for value in os.getloadavg()],
    }  # fmt: skip
    result["holds"] = {
        "memory_rise": flood["memory_rise_mb"] < 150, "passkey_within_2_s": flood["passkey_sign_in_seconds"] < 2,
        "p99_below_100_ms": result["mixed"]["p99_ms"] < 100,
        "worker_below_1_s": result["mixed"]["worker_max_ms"] < 1000,
        "memory_flat": result["mixed"]["memory_last_mb"] < 1.1 * result["mixed"]["memory_first_mb"],
    }  # fmt: skip
    print(json.dumps(result))


if __name__ == "__main__":
    main()
