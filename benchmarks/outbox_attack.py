"""The attack of `benchmarks.chaos_outbox`: 500 intents of all kinds while everything around the outbox fails.

Works with the real login service, a real chain and `outbox_faults`; `Attack.run` ends with what the chain shows, intent
by intent.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from benchmarks.outbox_faults import Faults, Rival
from tests.support.chains import LocalChain, rpc
from tests.support.login_service import Daemon, FaultyRpc, Login, wait_until
from tests.support.market_host import MarketHost, Secrets

from swarm_chain import abi
from swarm_core.identity import PeerKey, generate_key, parse_key

GAMES, CLAIMED_GAMES = 4, 2
BET = 100
ASYNC = {"prefer": "respond-async"}


def amount(peer: int, number: int) -> int:
    """The reward of a peer in a round."""
    return (peer * 7 + number * 3) % 11 + 1


@dataclass(frozen=True)
class Size:
    """How many peers, rounds and kills; the whole has 500 intents."""

    peers: int = 20
    rounds: int = 9
    kills: int = 20


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
