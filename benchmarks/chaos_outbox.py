"""The outbox under attack (`make chaos-outbox`): 500 intents over a faulty RPC, each on chain exactly once.

The real login service runs against a real chain (anvil, coordinator and market). Between them stands an RPC that drops
15 % of the requests, loses half of the answers to sends, has bursts of 503 and 429, and goes away twice. The service is
killed 20 times with SIGKILL while a second process sends transactions with the same key. Then 3,000 waiting intents
drain without faults. Prints one JSON object last; exits 1 when anything is missing, doubled or too slow.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.outbox_attack import ASYNC, Attack, Size, settled
from tests.support.chains import Anvil, LocalChain, anvil_binary, deploy_chain
from tests.support.login_service import Daemon, Login, wait_until

from swarm_chain import calls
from swarm_core.identity import generate_key, parse_key

DRAIN_ROUNDS = 750


async def advance(chain: LocalChain, rounds: int) -> None:
    """Rounds of the coordinator."""
    client = chain.client()
    keeper = chain.role(client, "stage-manager")
    for _ in range(rounds):
        await keeper.send(calls.update_stage_and_round())
    await client.close()


async def on_chain(chain: LocalChain, peers: list[str]) -> dict[str, int]:
    """peer -> rewards, asked of the chain itself: what the login service shows may be some seconds old."""
    async with chain.client() as client:
        return dict(zip(peers, await client.total_rewards(peers), strict=True))


def drain(chain: LocalChain, directory: Path) -> dict[str, Any]:
    """3,000 intents that waited for a claim, delivered without faults."""
    keys = [parse_key(generate_key()) for _ in range(2)]
    asyncio.run(advance(chain, DRAIN_ROUNDS))
    login = Login(directory / "drain", chain, mode="page")
    daemons = [
        Daemon(login.directory / path, key)
        for path, key in zip(("run/dht.sock", "run/peers/1/dht.sock"), keys, strict=True)
    ]
    try:
        login.start()
        with login.api() as api:
            for number in range(DRAIN_ROUNDS):
                for key in keys:
                    body = {"orgId": "local", "peerId": key.peer_id, "roundNumber": number}
                    for path, more in (
                        ("submit-reward", {"stageNumber": 0, "reward": 2}),
                        ("submit-winner", {"winners": [keys[0].peer_id]}),
                    ):
                        answer = api.post(path, json=body | more, headers=ASYNC)
                        assert answer.status_code == 202, answer.text
        assert sum(login.status().pending.values()) == 4 * DRAIN_ROUNDS
        login.stop()
        login.mode = "auto"
        started = time.monotonic()
        login.start()
        wait_until(lambda: settled(login), 300, pause=0.5)
        seconds = time.monotonic() - started
        status = login.status()
        sums = asyncio.run(on_chain(chain, [key.peer_id for key in keys]))
        delivered = {peer.peer_id: peer.delivered_total for peer in status.peers}
        return {
            "intents": 4 * DRAIN_ROUNDS, "seconds": round(seconds, 1),
            "sums_equal": sums == delivered == dict.fromkeys(delivered, 2 * DRAIN_ROUNDS),
            "memory_mb": round(status.memory_rss / 1e6),
        }  # fmt: skip
    finally:
        login.kill()
        for daemon in daemons:
            daemon.close()


def main() -> int:
    """Run both parts; 0 when all held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the report is always JSON; kept for the habit")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="a fifth of it, without the drain: to see that it runs")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="chaos-outbox-") as name:
        directory, binary = Path(name), anvil_binary()
        anvils = [Anvil(binary), Anvil(binary)]
        try:
            size = Size(6, 4, 4) if options.small else Size()
            attack = Attack(deploy_chain(anvils[0], directory / "chain"), directory, options.seed, size)
            try:
                asyncio.run(advance(attack.chain, size.rounds))
                report = attack.run()
            finally:
                attack.close()
            if not options.small:
                report["drain"] = drain(deploy_chain(anvils[1], directory / "chain2"), directory)
        finally:
            for anvil in anvils:
                anvil.stop(kill=True)
    report["load_average_at_start"] = round(load, 1)
    held = (
        report["exactly_once"] and not report["gap"] and report["sum_expected"] == report["sum_on_chain"]
        and report["sum_in_outbox"] == report["sum_expected"] and report["two_peers_at_once_both_counted"]
        and (options.small or (report["drain"]["sums_equal"] and report["drain"]["seconds"] < 300))
    )  # fmt: skip
    report["held"] = held
    print(json.dumps(report))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
