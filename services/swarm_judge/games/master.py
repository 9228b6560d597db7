"""The game master: takes each game from its commitment to its answer, one transaction at a time.

Every step first asks the chain what is there and only then sends what is missing, so a crash at any point is followed
by the same step again: nothing is created, told or revealed twice. Works with `ledger` (what we know and nobody else
does), `swarm_chain.market` (what everybody sees) and the wallet that owns the market.
"""

from __future__ import annotations

import time
from collections import Counter

from swarm_chain import calls
from swarm_chain.errors import ContractError, NoDeployment
from swarm_chain.market import Game, GameStatus, MarketClient
from swarm_chain.wallet import Wallet
from swarm_core.errors import Unavailable
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_gym.pool import ScorerPool, TextTooHard
from swarm_judge.games.ledger import GameLedger, GameRow
from swarm_judge.games.secrets import make_game
from swarm_judge.round_watch import CHAIN_TROUBLE
from swarm_judge.settings import JudgeSettings

_LONGEST_PAUSE = 5.0
_RETRY_SECONDS = 2.0
_SHORTEST_PAUSE = 0.2
log = get_logger("games")


class GameMaster:
    """Runs games until the service stops; failures are told once and tried again."""

    def __init__(
        self, settings: JudgeSettings, ledger: GameLedger, market: MarketClient, wallet: Wallet, pool: ScorerPool
    ) -> None:
        self._settings, self._ledger, self._market, self._wallet, self._pool = settings, ledger, market, wallet, pool
        self.reason = ""
        self.sent: Counter[str] = Counter()
        self.game: Game | None = None
        self._owner_checked = False

    async def run(self, service: Service) -> None:
        """Step after step."""
        while True:
            try:
                pause = await self.step()
                self.reason = ""
            except (*CHAIN_TROUBLE, TextTooHard, ValueError) as error:
                if self.reason != str(error):
                    log.warning("the game waits", reason=str(error))
                self.reason, pause = str(error), _RETRY_SECONDS
                self._owner_checked = False
            if await service.sleep(pause):
                return

    async def step(self) -> float:
        """Look, do at most one thing, and tell after how many seconds to look again. Raises what the chain raises."""
        await self._check_owner()
        row = self._ledger.running()
        if row is not None and row.market != self._market.address:
            self._ledger.end(row, "lost")
            log.warning("game lost with its market", market=row.market)
            return _SHORTEST_PAUSE
        if row is None:
            return await self._begin()
        index = await self._market.game_of_root(row.root)
        if index is None:
            return await self._create(row)
        if index != row.index:
            self._ledger.created(row, index)
        self.game = game = await self._market.game(index)
        if game.status in (GameStatus.REVEALED, GameStatus.REFUNDABLE):
            self._ledger.end(row, "revealed" if game.answer is not None else "refunded")
            log.info("game over", game=index, answer=row.secrets.choices[row.secrets.answer], pool=game.pool)
            return _SHORTEST_PAUSE
        if game.status is GameStatus.CLOSED:
            return await self._reveal(row, game)
        return await self._open_round(row, game)

    async def _begin(self) -> float:
        settings, last = self._settings, self._ledger.last()
        if 0 <= settings.market_games <= self._ledger.count(self._market.address):
            return _LONGEST_PAUSE
        wait = 0.0 if last is None or last.ended is None else last.ended + settings.market_pause_seconds - time.time()
        if wait > 0:
            return min(wait, _LONGEST_PAUSE)
        secrets = await make_game(self._pool, settings.market_rounds, settings.market_choices)
        self._ledger.begin(self._market.address, secrets)
        return 0.0

    async def _create(self, row: GameRow) -> float:
        secrets = row.secrets
        await self._send("create", calls.create_game(len(secrets.clues), len(secrets.choices), row.root))
        return 0.0

    async def _open_round(self, row: GameRow, game: Game) -> float:
        if row.answer_told:  # the chain went back behind a reveal: nobody may bet any more
            await self._send("round", calls.increment_round(game.index))
            return 0.0
        if not await self._market.is_clue_revealed(game.index, game.round):
            leaf, proof = row.secrets.opening(game.round)
            await self._send("clue", calls.reveal_clue(game.index, game.round, leaf.text, leaf.salt, proof))
        if row.clue != game.round or row.clue_at is None:
            self._ledger.clue_told(row, game.round)
            log.info("clue told", game=game.index, clue=game.round, of=game.rounds)
            return _SHORTEST_PAUSE
        wait = row.clue_at + self._settings.market_clue_seconds - time.time()
        if wait > 0:
            return min(wait, _LONGEST_PAUSE)
        await self._send("round", calls.increment_round(game.index))
        return 0.0

    async def _reveal(self, row: GameRow, game: Game) -> float:
        self._ledger.answer_told(row)
        leaf, proof = row.secrets.opening(game.rounds)
        await self._send("answer", calls.reveal_answer(game.index, leaf.index, leaf.text, leaf.salt, proof, row.id))
        return 0.0

    async def _send(self, kind: str, data: bytes) -> None:
        await self._wallet.send_to(self._market.address, data)
        self.sent[kind] += 1

    async def _check_owner(self) -> None:
        """The market's address follows the deployment file; its owner must be us."""
        if self._owner_checked:
            return
        try:
            address = self._market.address
        except NoDeployment as error:
            raise Unavailable(str(error)) from error
        # a simulated call tells at once whether the contract lets us
        try:
            await self._market.simulate(self._wallet.address, calls.set_reveal_seconds(60))
        except ContractError as error:
            raise ContractError(error.name, f"{self._wallet.address} does not own the market at {address}") from error
        self._owner_checked = True
