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
import random
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), *(str(ROOT / name) for name in ("services", "node", "login-proxy"))]

from tests.support.chains import Anvil, LocalChain, anvil_binary, deploy_chain, rpc  # noqa: E402
from tests.support.login_service import Daemon, FaultyRpc, Login, wait_until  # noqa: E402
from tests.support.market_host import MarketHost, Secrets  # noqa: E402

from login_proxy.keystore import Keystore  # noqa: E402
from swarm_chain import abi, calls  # noqa: E402
from swarm_core.identity import PeerKey, generate_key, parse_key  # noqa: E402

GAMES, CLAIMED_GAMES = 4, 2
BET = 100
ASYNC = {"prefer": "respond-async"}
DRAIN_ROUNDS = 750


def amount(peer: int, number: int) -> int:
    """The reward of a peer in a round."""
    return (peer * 7 + number * 3) % 11 + 1


@dataclass(frozen=True)
class Size:
    """How many peers, rounds and kills; the whole has 500 intents."""

    peers: int = 20
    rounds: int = 9
    kills: int = 20


class Faults(threading.Thread):
    """Bursts of 503 and 429 and two outages, until stopped."""

    def __init__(self, proxy: FaultyRpc, seed: int) -> None:
        super().__init__(daemon=True)
        self._proxy = proxy
        self._random = random.Random(seed)
        self._over = threading.Event()
        self.bursts = {503: 0, 429: 0}
        self.outages = 0

    def run(self) -> None:
        """Waits between faults are part of what is simulated."""
        while not self._over.wait(self._random.uniform(2.0, 5.0)):
            status = 503 if self.bursts[503] <= self.bursts[429] else 429
            self._proxy.busy = status
            self._over.wait(self._random.uniform(0.5, 1.5))
            self._proxy.busy = 0
            self.bursts[status] += 1
            if self.outages < 2 and self.bursts[429] >= 2 * (self.outages + 1):
                self._proxy.down = True
                self._over.wait(self._random.uniform(4.0, 8.0))
                self._proxy.down = False
                self.outages += 1

    def stop(self) -> None:
        """No more faults."""
        self._over.set()
        self.join()
        self._proxy.busy, self._proxy.down = 0, False


class Rival:
    """A second process that sends with the account's key and knows nothing of the outbox."""

    def __init__(self, login: Login, url: str, directory: Path) -> None:
        keystore = Keystore(login.directory / "keys/account", login.directory / "state/unlock.secret")
        self._count = directory / "rival-count"
        key_file = directory / "rival-key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(bytes(keystore.load().key))
        command = [sys.executable, __file__, "--rival", str(key_file), url, str(self._count)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def stop(self) -> int:
        """How many transactions it got onto the chain."""
        self._process.terminate()
        self._process.wait(timeout=20)
        return int(self._count.read_text()) if self._count.exists() else 0


async def rival(key_file: Path, url: str, count_file: Path) -> None:
    """Body of the second process: a transfer of nothing every few seconds, on the nonce the chain names."""
    from swarm_chain.client import ChainClient
    from swarm_chain.errors import RpcRefused
    from swarm_chain.settings import ChainSettings
    from swarm_chain.wallet import Wallet, sign
    from swarm_core.errors import Unavailable

    chance, mined = random.Random(3), 0
    async with ChainClient(ChainSettings(rpc_url=url, coordinator="0x" + "11" * 20)) as client:
        wallet = Wallet(client, key_file.read_bytes())
        while True:
            try:
                nonce, fees = await client.nonce(wallet.address), await client.fees()
                signed = sign(wallet.account, chain_id=client.chain_id, nonce=nonce, gas=21_000, fees=fees, data=b"",
                              to=wallet.address)  # fmt: skip
                await client.send_raw(signed.raw)
                if await client.receipt(signed.hash) is not None:
                    mined += 1
                    count_file.write_text(str(mined))
            except (RpcRefused, Unavailable):
                pass  # the service was faster
            await asyncio.sleep(chance.uniform(1.0, 4.0))


def submit(login: Login, path: str, body: dict[str, Any]) -> None:
    """As the worker does: again and again until the service says that it is on disk."""
    deadline = time.monotonic() + 300  # kills, outages and a slow machine
    while True:
        try:
            with login.api() as api:
                answer = api.post(path, json=body, headers=ASYNC)
            if answer.status_code in (200, 202):
                return
            if answer.status_code != 403 or time.monotonic() > deadline:  # 403: the daemon was not seen yet
                raise AssertionError(f"{path}: {answer.status_code} {answer.text}")
        except (httpx.TransportError, FileNotFoundError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)  # between two tries with a deadline


def settled(login: Login) -> bool:
    """Nothing waits and nobody complains."""
    try:
        return not any(login.status().pending.values())
    except (httpx.TransportError, FileNotFoundError):
        return False


async def advance(chain: LocalChain, rounds: int) -> None:
    """Rounds of the coordinator."""
    client = chain.client()
    keeper = chain.role(client, "stage-manager")
    for _ in range(rounds):
        await keeper.send(calls.update_stage_and_round())
    await client.close()


class Attack:
    """The 500 intents."""

    def __init__(self, chain: LocalChain, directory: Path, seed: int, size: Size) -> None:
        self.chain, self.directory, self.seed, self.size = chain, directory, seed, size
        self.keys: list[PeerKey] = [parse_key(generate_key()) for _ in range(self.size.peers)]
        self.proxy = FaultyRpc(chain.rpc_url, seed)
        self.login = Login(directory / "login", chain, mode="auto", rpc_url=self.proxy.url)
        sockets = ["run/dht.sock", *(f"run/peers/{slot}/dht.sock" for slot in range(1, self.size.peers))]
        self.daemons = [Daemon(self.login.directory / path, key) for path, key in zip(sockets, self.keys, strict=True)]
        self.together = False
        self.rival: Rival | None = None

    def run(self) -> dict[str, Any]:
        """Everything, then what the chain shows."""
        asyncio.run(self._games())
        self.login.start()
        self.rival = rival_process = Rival(self.login, self.chain.rpc_url, self.directory)
        self.proxy.drop, self.proxy.lose_send_reply = 0.15, 0.5
        faults = Faults(self.proxy, self.seed)
        faults.start()
        started = time.monotonic()
        killers = ThreadPoolExecutor(1)
        killer = killers.submit(self._kill)
        self._submit_first()
        wait_until(lambda: self._delivered("guess") == self.size.peers * GAMES, 600, pause=0.5)
        asyncio.run(self._reveal())
        self._each(lambda peer: [submit(self.login, "claim-reward", self._of(peer, gameId=game))
                                 for game in range(CLAIMED_GAMES)])  # fmt: skip
        killer.result(timeout=600)
        killers.shutdown()
        wait_until(lambda: faults.outages == 2, 120)
        faults.stop()
        rivals = rival_process.stop()
        self.rival = None
        faulty_seconds = time.monotonic() - started
        self.proxy.drop = self.proxy.lose_send_reply = 0.0
        wait_until(lambda: settled(self.login), 120, pause=0.5)
        seconds = time.monotonic() - started
        report = asyncio.run(self._audit(rivals))
        self.login.stop()
        return report | {
            "seconds": round(seconds, 1), "seconds_with_faults": round(faulty_seconds, 1), "kills": self.size.kills,
            "outages": faults.outages, "bursts": {str(status): count for status, count in faults.bursts.items()},
            "rpc_requests": self.proxy.requests, "requests_dropped": self.proxy.dropped,
            "send_replies_lost": self.proxy.replies_lost, "rival_transactions": rivals,
            "two_peers_at_once_both_counted": self.together,
        }  # fmt: skip

    def close(self) -> None:
        """Stop what runs."""
        self.login.kill()
        for daemon in self.daemons:
            daemon.close()
        self.proxy.close()
        if self.rival is not None:
            self.rival.stop()

    def _of(self, peer: int, **more: Any) -> dict[str, Any]:
        return {"orgId": "local", "peerId": self.keys[peer].peer_id, **more}

    def _each(self, work: Any) -> None:
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, range(self.size.peers)))

    def _submit_first(self) -> None:
        self._each(lambda peer: submit(self.login, "register-peer", self._of(peer)))
        barrier = threading.Barrier(2)

        def both(peer: int) -> None:
            barrier.wait(timeout=60)
            self._reward(peer, 0)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(both, (0, 1)))

        def reports(peer: int) -> None:
            for number in range(self.size.rounds):
                self._reward(peer, number)
                winners = [self.keys[(peer + number) % self.size.peers].peer_id]
                submit(self.login, "submit-winner", self._of(peer, roundNumber=number, winners=winners))
                if number < GAMES:
                    choice = 1 if number < CLAIMED_GAMES else peer % 4
                    submit(self.login, "guess-answer",
                           self._of(peer, gameId=number, clueId=0, choiceIdx=choice, bet=BET + peer))  # fmt: skip
                time.sleep(0.3)  # the pace of the traffic, so that kills and faults meet it

        self._each(reports)

    def _reward(self, peer: int, number: int) -> None:
        body = self._of(peer, roundNumber=number, stageNumber=0, reward=amount(peer, number))
        submit(self.login, "submit-reward", body)

    def _kill(self) -> None:
        chance = random.Random(self.seed)
        for _ in range(self.size.kills):
            wait_until(self._serves, 60)
            time.sleep(chance.uniform(0.2, 3.0))  # kills meet different moments
            self.login.kill()
            self.login.start(wait=False)
        wait_until(self._serves, 60)

    def _serves(self) -> bool:
        """Alive, and it has seen the daemons: on a slow machine it would else be killed before it did anything."""
        try:
            return len(self.login.status().peers) == self.size.peers
        except (httpx.TransportError, OSError):
            return False

    def _delivered(self, kind: str) -> int:
        try:
            return self.login.status().submissions.get(kind, {}).get("delivered", 0)
        except (httpx.TransportError, FileNotFoundError):
            return 0

    async def _games(self) -> None:
        client = self.chain.client()
        host = MarketHost(self.chain, client)
        await host.set_up()
        for game in range(GAMES):
            await host.new_game(Secrets(seed=game))
        await client.close()

    async def _reveal(self) -> None:
        client = self.chain.client()
        host = MarketHost(self.chain, client)
        for game in range(CLAIMED_GAMES):
            secrets = Secrets(seed=game)
            await host.next_round(game, len(secrets.clues))
            await host.send(host.master, secrets.answer_call(game))
        await client.close()

    async def _audit(self, rivals: int) -> dict[str, Any]:
        """What the chain shows, intent by intent."""
        client, status = self.chain.client(), self.login.status()
        host, account = MarketHost(self.chain, client), str(status.account)
        peers = [key.peer_id for key in self.keys]
        missing: list[str] = []
        expected = [sum(amount(peer, number) for number in range(self.size.rounds)) for peer in range(self.size.peers)]
        totals = await client.total_rewards(peers)
        owners = await client.owners(peers)
        for index, peer in enumerate(peers):
            missing += [f"register {index}"] if str(owners[index]).lower() != account.lower() else []
            for number in range(self.size.rounds):
                missing += [] if await client.has_reward(number, 0, peer) else [f"reward {index} {number}"]
                votes = await client.votes_of(number, peer)
                missing += [] if votes == [peers[(index + number) % self.size.peers]] else [f"winner {index} {number}"]
            for game in range(GAMES):
                bet = await host.market.bet_of(game, 0, peer)
                missing += [] if bet is not None and bet.amount == BET + index else [f"guess {index} {game}"]
            for game in range(CLAIMED_GAMES):
                missing += [] if await host.market.has_claimed(game, peer) else [f"claim {index} {game}"]
        guesses = await self._events(client, host, "NewGuess(uint256,address,string,uint256,uint256,uint256)")
        claims = await self._events(client, host, "RewardClaimed(uint256,address,string,uint256,uint256)")
        self.together = all(totals[peer] == expected[peer] for peer in (0, 1))
        used = await client.nonce(account)
        pool: Any = rpc(self.chain.rpc_url, "txpool_status")
        waiting = sum(int(value, 16) for value in pool.values())
        delivered = {kind: states.get("delivered", 0) for kind, states in status.submissions.items()}
        peer_count, reports = self.size.peers, self.size.peers * self.size.rounds
        wanted = {
            "register": peer_count, "reward": reports, "winner": reports, "guess": peer_count * GAMES,
            "claim": peer_count * CLAIMED_GAMES,
        }  # fmt: skip
        await client.close()
        local = sum(peer.delivered_total for peer in status.peers)
        return {
            "intents": sum(wanted.values()), "delivered": delivered,
            "rejected": sum(states.get("rejected", 0) for states in status.submissions.values()),
            "missing_on_chain": missing, "guess_events": guesses, "claim_events": claims,
            "exactly_once": not missing and delivered == wanted and totals == expected
            and (guesses, claims) == (wanted["guess"], wanted["claim"]),
            "sum_expected": sum(expected), "sum_on_chain": sum(totals), "sum_in_outbox": local,
            "nonces_used": used, "nonces_without_effect": used - sum(wanted.values()) - rivals,
            "gap": waiting > 0,
        }  # fmt: skip

    async def _events(self, client: Any, host: MarketHost, signature: str) -> int:
        topic = "0x" + abi.role(signature).hex()
        query = {"address": host.market.address, "fromBlock": "0x0", "toBlock": "latest", "topics": [topic]}
        return len(await client.rpc.call("eth_getLogs", query))


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
        whole = all(peer.delivered_total == peer.chain_total == 2 * DRAIN_ROUNDS for peer in status.peers)
        return {
            "intents": 4 * DRAIN_ROUNDS, "seconds": round(seconds, 1), "sums_equal": whole,
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
    parser.add_argument("--rival", nargs=3, metavar=("KEY", "URL", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.rival:
        key, url, count = options.rival
        asyncio.run(rival(Path(key), url, Path(count)))
        return 0
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
