"""Five whole games of the prediction market under Compose, with three peers, while judge, login service and worker are
killed at random steps: every bet is on chain once, every winner is paid exactly what the rules say (recomputed from
events by `events`), nothing is left to claim, and clues, answers and choices are what the games committed to.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import _stack, clone, images
from tests.e2e.stack import Stack, wait_until
from tests.e2e_market.events import Game, opens, read_logs

__all__ = ["clone", "images"]

GAMES = 5
PEERS = 3
KILLED = ("judge", "login-proxy", "node")
CLUE_SECONDS = 12
GAME_SECONDS = 460
pytestmark = pytest.mark.timeout(900)
_HTTP = """
import json, sys, urllib.request
url, body = sys.argv[1], sys.argv[2]
request = urllib.request.Request(url, body.encode() or None, {"content-type": "application/json"})
sys.stdout.write(urllib.request.urlopen(request, timeout=10).read().decode())
"""


class Watcher:
    """Reads the market's events as they come: the local chain keeps those of its last 256 blocks only."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        deployment = stack.run_in("exporter", "print(open('/deployment/deployment.json').read())")
        self.market = str(json.loads(deployment)["market"])
        self._next = 0
        self.games: dict[int, Game] = {}

    def rpc(self, method: str, *params: Any) -> Any:
        """A JSON-RPC call from inside the stack."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
        answer = json.loads(self._stack.run_in("exporter", _HTTP, "http://chain:8545", body))
        assert "error" not in answer, answer
        return answer["result"]

    def poll(self) -> None:
        """Events since the last call."""
        head = int(self.rpc("eth_blockNumber"), 16)
        if head >= self._next:
            span = {"address": self.market, "fromBlock": hex(self._next), "toBlock": hex(head)}
            read_logs(self.rpc("eth_getLogs", span), self.games)
            self._next = head + 1

    def root(self, game: int) -> bytes:
        """First word of `gameInfo(uint256)`."""
        data = "0x" + _selector("gameInfo(uint256)") + f"{game:064x}"
        return bytes.fromhex(self.rpc("eth_call", {"to": self.market, "data": data}, "latest")[2:66])

    def over(self) -> bool:
        """Whether all games are over and everything is claimed."""
        done = [game for game in self.games.values() if game.answers]
        return len(done) == GAMES and all(len(game.claims) >= len(game.payouts()) for game in done)


def _selector(signature: str) -> str:
    from eth_utils.crypto import keccak

    return bytes(keccak(text=signature))[:4].hex()


@pytest.fixture(scope="module")
def stack(clone: Path, images: None, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A swarm of three peers that all play."""
    settings = {
        "SWARM_LOGIN": "auto", "SWARM_LOCAL_PEERS": str(PEERS - 1), "SWARM_PLAY_MARKET": "1",
        "SWARM_MARKET_GAMES": str(GAMES), "SWARM_MARKET_CLUE_SECONDS": str(CLUE_SECONDS),
        "SWARM_MARKET_PAUSE_SECONDS": "4", "SWARM_NUM_QUESTIONS": "4",
    }  # fmt: skip
    for found in _stack(clone, "market", request, **settings):
        found.up()
        yield found


def judge_get(stack: Stack, path: str) -> Any:
    """JSON of the judge."""
    return json.loads(stack.run_in("judge", _HTTP, f"http://127.0.0.1:8100{path}", ""))


def books(stack: Stack) -> list[dict[str, Any]]:
    """The market books of the node and of both extra peers, as they lie in the volumes."""
    code = (
        "import glob, json\n"
        "paths = glob.glob('/state/market.json') + glob.glob('/peer-state/*/market.json')\n"
        "print(json.dumps([json.load(open(path)) for path in paths]))"
    )
    labels = [f"com.docker.compose.project={stack.project}", "com.docker.compose.service=peer"]
    peer = stack.docker.containers.list(filters={"label": labels})[0]
    found = json.loads(stack.run_in("node", code))
    ended = peer.exec_run(["python3", "-I", "-S", "-c", code])
    return [*found, *json.loads(ended.output)]


def test_five_games_with_crashes(stack: Stack) -> None:
    watcher, rng = Watcher(stack), random.Random(20261125)
    began, next_kill, killed = time.monotonic(), time.monotonic() + 20, dict.fromkeys(KILLED, 0)
    while not watcher.over():
        assert time.monotonic() - began < GAME_SECONDS, watcher.games
        watcher.poll()
        if time.monotonic() > next_kill:
            victim = min(KILLED, key=lambda name: (killed[name], rng.random()))
            stack.kill_main(victim)
            killed[victim] += 1
            next_kill = time.monotonic() + rng.uniform(12, 25)
        time.sleep(1.0)  # between two looks with a deadline
    print("seconds", round(time.monotonic() - began), "killed", killed)
    assert min(killed.values()) >= 2

    bets = [
        (number, peer, round_index) for number, game in watcher.games.items() for peer, round_index, _, _ in game.bets
    ]
    print("bets", len(bets), {number: len(game.bets) for number, game in watcher.games.items()})
    assert len(bets) == len(set(bets)), "a peer bet twice on a clue"
    assert len(bets) >= GAMES * PEERS
    assert len({peer for _, peer, _ in bets}) == PEERS
    for number, game in watcher.games.items():
        assert (game.created, len(game.answers)) == (1, 1), number
        assert dict(game.claims) == game.payouts(), number
        assert len(game.claims) == len(game.payouts()), "somebody was paid twice"
        paid, pool = sum(amount for _, amount in game.claims), sum(bet[3] for bet in game.bets)
        assert paid <= pool
        assert pool - paid < max(len(game.claims), 1)


def test_commitments_open(stack: Stack) -> None:
    watcher = Watcher(stack)
    wait_until("the judge is up after its last crash", 60, lambda: bool(judge_get(stack, "/healthz")))
    shown = {game["game_id"]: game for game in judge_get(stack, "/games?limit=100")}
    assert set(shown) == set(range(GAMES))
    for number, game in shown.items():
        root = watcher.root(number)
        assert game["root"] == "0x" + root.hex()
        answer = game["answer"]
        told = [*game["clues"], {**answer, "index": answer["choice"]}, *game["choices"]]
        assert len(told) == game["rounds"] + 1 + len(game["choices"])
        for position, entry in enumerate(told):
            proof = [bytes.fromhex(node[2:]) for node in entry["proof"]]
            salt = bytes.fromhex(entry["salt"][2:])
            assert opens(root, position, entry["index"], entry["text"], salt, proof), (number, position)
        assert game["choices"][answer["choice"]]["text"] == answer["text"]


def test_every_peer_s_book_agrees_and_nothing_is_unclaimed(stack: Stack) -> None:
    end = time.monotonic() + 60
    while True:
        found = books(stack)
        open_bets = [bet for book in found for game in book["games"] for bet in game["bets"]
                     if bet["state"] in ("decided", "handed_over")]  # fmt: skip
        unclaimed = [game for book in found for game in book["games"] if game["claimable"] and not game["claimed"]]
        if len(found) == PEERS and not open_bets and not unclaimed:
            break
        assert time.monotonic() < end, (open_bets, unclaimed)
        time.sleep(2.0)  # between two looks with a deadline
    assert all(book["settled_before"] == GAMES for book in found)


def test_the_judge_scored_all_peers(stack: Stack) -> None:
    rows = judge_get(stack, "/leaderboard")["rows"]
    assert len(rows) == PEERS
    assert all(row["signed"] and row["answers"] > 0 for row in rows)
