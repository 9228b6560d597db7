"""The game master against a real chain, cut off before or after every transaction and every note: each game is created
once, each clue and the answer are told once, and the chain ends with exactly the committed game.

Also an upstream-shaped client (plain requests, no signature) that plays an evaluation and a whole game.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.chains import LocalChain, rpc
from tests.support.judge_host import JudgeProcess, register
from tests.support.market_host import MarketHost

from swarm_chain import abi, calls
from swarm_chain.market import GameStatus, MarketClient
from swarm_chain.records import Receipt
from swarm_chain.wallet import Wallet
from swarm_core.errors import Unavailable
from swarm_gym.pool import ScorerPool
from swarm_judge.games.ledger import GameLedger
from swarm_judge.games.master import GameMaster
from swarm_judge.settings import JudgeSettings
from swarm_judge.store import JudgeStore

GAMES = 6


class Crash(Exception):
    """The process ends here."""


class CrashingWallet(Wallet):
    """Ends the process before or after some of its transactions, or loses the answer to them."""

    rng = random.Random(7)
    crashes = 0

    async def send_to(self, target: str | None, data: bytes) -> Receipt:
        chance = self.rng.random()
        if chance < 0.25:
            CrashingWallet.crashes += 1
            raise Crash("before it was sent")
        receipt = await super().send_to(target, data)
        if chance < 0.5:
            CrashingWallet.crashes += 1
            raise Crash("after it was mined")
        if chance < 0.6:
            raise Unavailable("the answer was lost")
        return receipt


class FixedPool(ScorerPool):
    """Makes one question without a process."""

    async def make(self, questions: Any) -> list[tuple[str, str]]:
        return [("2 + 2 =", "4") for _ in questions]


def master_of(chain: LocalChain, client: Any, store: JudgeStore, settings: JudgeSettings) -> GameMaster:
    """A game master as after a start of the process."""
    wallet = CrashingWallet(client, chain.role(client, "game-master").account.key)
    return GameMaster(settings, GameLedger(store.db), MarketClient(client), wallet, FixedPool())


async def test_a_master_that_crashes_at_any_step_holds_each_game_once(chain: LocalChain, tmp_path: Path) -> None:
    settings = JudgeSettings(
        rpc_url=chain.rpc_url, deployment_file=chain.deployment_file, market_games=GAMES, market_rounds=3,
        market_clue_seconds=1.0, market_pause_seconds=0.0,
    ).model_copy(update={"market_clue_seconds": 0.0})  # fmt: skip
    async with chain.client() as client:
        market = MarketClient(client)
        for _ in range(2000):
            store = JudgeStore(tmp_path / "judge.db")
            master = master_of(chain, client, store, settings)
            try:
                for _ in range(50):
                    await master.step()
            except (Crash, Unavailable):
                continue
            finally:
                done = [row.outcome for row in GameLedger(store.db).newest(100)]
                store.close()
            if done == ["revealed"] * GAMES:
                break
        assert done == ["revealed"] * GAMES
        assert CrashingWallet.crashes > 15
        assert await market.game_count() == GAMES
        store = JudgeStore(tmp_path / "judge.db")
        for row in GameLedger(store.db).newest(100):
            assert row.index is not None
            game = await market.game(row.index)
            assert (game.status, game.root, game.answer) == (GameStatus.REVEALED, row.root, row.secrets.answer)
        store.close()
        for name, expected in (
            ("NewGameCreated(uint256,uint256,uint256,uint256)", GAMES),
            ("ClueRevealed(uint256,uint256,string,bytes32)", 3 * GAMES),
            ("RoundIncremented(uint256,uint256)", 3 * GAMES),
            ("AnswerRevealed(uint256,uint256,uint256)", GAMES),
        ):
            topic = "0x" + abi.role(name).hex()  # keccak of the signature
            logs = rpc(chain.rpc_url, "eth_getLogs", {"address": market.address, "fromBlock": "0x0", "topics": [topic]})
            assert isinstance(logs, list)
            assert len(logs) == expected, name


async def test_a_chain_that_forgot_a_reveal_takes_no_bets_on_a_known_answer(chain: LocalChain, tmp_path: Path) -> None:
    settings = JudgeSettings(rpc_url=chain.rpc_url, deployment_file=chain.deployment_file, market_rounds=1)
    store = JudgeStore(tmp_path / "judge.db")
    ledger = GameLedger(store.db)
    async with chain.client() as client:
        master = GameMaster(settings, ledger, MarketClient(client), chain.role(client, "game-master"), FixedPool())
        for _ in range(6):
            await master.step()
        row = ledger.running()
        assert row is not None
        assert row.clue == 0
        ledger.answer_told(row)  # the answer went out, then the chain lost its last blocks
        while ledger.running() is not None:
            await master.step()
        assert (await MarketClient(client).game(0)).status is GameStatus.REVEALED
    store.close()


@pytest.mark.timeout(120)
async def test_an_upstream_shaped_client_plays(session_chain: LocalChain, tmp_path: Path) -> None:
    (peer,) = await register(session_chain, 1, account=92)
    judge = JudgeProcess(
        session_chain, tmp_path / "judge", SWARM_JUDGE_UNSIGNED="1", SWARM_MARKET_GAMES="1", SWARM_MARKET_ROUNDS="2",
        SWARM_MARKET_CLUE_SECONDS="2",
    )  # fmt: skip
    try:
        now = judge.get("/healthz")["round"]
        asked = {"user_id": peer.peer_id, "round_number": now, "model_name": "upstream/model"}
        question = judge.post("/request-question/", asked).json()
        assert question["question"]
        body = {"session_id": question["session_id"], "round_number": now, "user_answer": "<answer>1</answer>"}
        answered = judge.post("/submit-answer/", body)
        assert 0.0 <= answered.json()["score"] <= 1.0
        (row,) = judge.get("/leaderboard")["rows"]
        assert (row["signed"], row["answers"]) == (False, 1)  # served, and marked
        async with session_chain.client() as client:
            host, bets = MarketHost(session_chain, client), 0
            wallet, last, end = Wallet(client, bytes([92] * 32)), -1, time.monotonic() + 60
            while not (games := judge.get("/games")) or games[0]["answer"] is None or games[0]["state"] == "revealing":
                assert time.monotonic() < end
                clue = judge.get("/current_clue/")
                if clue["game_id"] < 0 or clue["clue_id"] == last:
                    time.sleep(0.1)  # noqa: ASYNC251 - a poll with a deadline
                    continue
                last = clue["clue_id"]
                stake = await host.market.bet_token_balance(peer.peer_id) // clue["rounds_remaining"]
                choice = last % len(clue["choices"])
                await host.send(wallet, calls.guess_answer(clue["game_id"], peer.peer_id, last, choice, stake))
                bets += 1
            assert bets == 2
            number = games[0]["game_id"]
            assert await host.market.spent(number, peer.peer_id) == 1_000_000
            if await host.market.claimable(number, peer.peer_id):
                await host.send(wallet, calls.claim_reward(number, peer.peer_id))
                assert await host.market.total_paid(peer.peer_id) == 1_000_000  # the only player gets the whole pool
    finally:
        judge.stop()
