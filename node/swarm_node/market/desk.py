"""Everything of the market that waits for others, beside the rounds: clues, balances, handing bets over, claims.

Works with the judge (clues), the chain (balances, outcomes) and the login service, whose outbox signs and sends. Bets
and claims are unique on chain (per peer, game and round; per peer and game), so each may be handed over again after any
doubt. Claims are looked for on the chain over all games there ever were, not only in our own book.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, NoDeployment, WrongChain, WrongContract
from swarm_chain.market import Game, GameStatus, MarketClient
from swarm_core.errors import Refused, SwarmError, Unavailable
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_core.status import MarketBet, MarketGame
from swarm_node.judging.client import JudgeClient
from swarm_node.login_client import LoginClient
from swarm_node.market.player import Player

_TROUBLE = (Unavailable, WrongChain, WrongContract, ContractError, Refused)
_CLUE_SECONDS = 2.0
_IDLE_CLUE_SECONDS = 5.0
_CLAIM_SECONDS = 10.0
_OPEN = ("decided", "handed_over")
log = get_logger("market")


class MarketDesk:
    """`peer_id` tells who we are, "" while nobody knows; `enabled` whether the operator wants bets now."""

    def __init__(
        self,
        player: Player,
        judge: JudgeClient,
        chain: ChainClient,
        login: LoginClient,
        peer_id: Callable[[], str],
        enabled: Callable[[], bool],
    ) -> None:
        self._player, self._judge, self._login = player, judge, login
        self._chain, self._market = chain, MarketClient(chain)
        self._peer_id, self._enabled = peer_id, enabled
        self._claims_at = 0.0
        self.reason = ""

    async def run(self, service: Service) -> None:
        """Until asked to stop; trouble is told once and tried again."""
        while True:
            pause = _IDLE_CLUE_SECONDS
            try:
                if self._peer_id():
                    pause = await self._look()
                self.reason = ""
            except NoDeployment as error:
                self.reason = str(error)  # no market here: nothing to say
            except _TROUBLE as error:
                if self.reason != str(error):
                    log.warning("the market waits", reason=str(error))
                self.reason = str(error)
            if await service.sleep(pause):
                return

    async def _look(self) -> float:
        book, peer_id = self._player.book, self._peer_id()
        book.belongs_to(f"{self._chain.chain_id}/{self._market.address}", peer_id)
        book.playing(self._enabled())
        for game, bet in book.bets():
            if bet.state in _OPEN:
                await self._follow(game, bet, peer_id)
        if time.monotonic() >= self._claims_at:
            await self._claims(peer_id)
            self._claims_at = time.monotonic() + _CLAIM_SECONDS
        if not book.status.playing:
            self._player.clue = None
            return _IDLE_CLUE_SECONDS
        return await self._clue(peer_id)

    async def _clue(self, peer_id: str) -> float:
        """What the player needs for a decision: clue, balance and what the market thinks."""
        clue = await self._judge.clue()
        if not clue.playable:
            self._player.clue = None
            return _IDLE_CLUE_SECONDS
        game = await self._market.game(clue.game_id)
        if game.status is not GameStatus.OPEN or game.round != clue.clue_id or game.choices != len(clue.choices):
            self._player.clue = None  # the judge says what the chain does not
            return _CLUE_SECONDS
        self._player.balance = await self._market.bet_token_balance(peer_id)
        self._player.supplies = await self._market.supplies(clue.game_id, len(clue.choices))
        self._player.clue = clue.model_copy(update={"rounds_remaining": game.rounds - game.round})
        return _CLUE_SECONDS

    async def _follow(self, game: MarketGame, bet: MarketBet, peer_id: str) -> None:
        """Bring one bet to its end: on chain, or too late."""
        book = self._player.book
        if await self._market.bet_of(game.game, bet.clue, peer_id) is not None:
            book.bet_is(game.game, bet.clue, "placed")
            return
        now = await self._market.game(game.game)
        if now.status is not GameStatus.OPEN or now.round > bet.clue:
            book.bet_is(game.game, bet.clue, "missed", "the round ended before the bet was on chain")
            return
        try:
            await self._login.post(
                "guess-answer",
                {"gameId": game.game, "peerId": peer_id, "clueId": bet.clue, "choiceIdx": bet.choice, "bet": bet.stake},
            )
            book.bet_is(game.game, bet.clue, "handed_over")
        except Refused as error:
            if error.status in (400, 409):
                book.bet_is(game.game, bet.clue, "refused", error.detail[:200])
            else:
                raise

    async def _claims(self, peer_id: str) -> None:
        """Look at every game that is not settled yet, oldest first; hand over claims."""
        book = self._player.book
        count = await self._market.game_count()
        settled = min(book.status.settled_before, count)  # a chain that went back has fewer games
        all_before = True
        for number in range(settled, count):
            done = await self._settle(number, peer_id)
            all_before = all_before and done
            if all_before:
                settled = number + 1
        book.settled_before(settled)

    async def _settle(self, number: int, peer_id: str) -> bool:
        """Whether nothing is left to claim of a game; tells the book and hands a claim over otherwise."""
        book, game = self._player.book, await self._market.game(number)
        spent = await self._market.spent(number, peer_id)
        known = book.game(number)
        for bet in known.bets if known is not None else []:
            if bet.state == "missed" and await self._market.bet_of(number, bet.clue, peer_id) is not None:
                book.bet_is(number, bet.clue, "placed")
        over = game.status in (GameStatus.REVEALED, GameStatus.REFUNDABLE)
        if spent == 0:
            if known is not None:
                book.outcome(number, status=game.status.name.lower(), answer=game.answer, spent=0)
            return over
        if not over:
            book.outcome(number, status=game.status.name.lower(), spent=spent)
            return False
        return await self._claim(game, spent, peer_id)

    async def _claim(self, game: Game, spent: int, peer_id: str) -> bool:
        book = self._player.book
        fields = {"status": game.status.name.lower(), "answer": game.answer, "spent": spent}
        known = book.game(game.index)
        if await self._market.has_claimed(game.index, peer_id):
            payout = (
                known.claimable if known is not None and known.claimable else await self._payout(game, spent, peer_id)
            )
            book.outcome(game.index, **fields, claimable=payout, payout=payout, claimed=True)
            return True
        amount = await self._market.claimable(game.index, peer_id)
        book.outcome(game.index, **fields, claimable=amount, claimed=False)
        if amount == 0:
            return True
        try:
            await self._login.post("claim-reward", {"gameId": game.index, "peerId": peer_id})
        except SwarmError as error:
            log.debug("claim not handed over", game=game.index, error=str(error))
        return False

    async def _payout(self, game: Game, spent: int, peer_id: str) -> int:
        """What a claim of ours paid that was made before this book began."""
        if game.status is GameStatus.REFUNDABLE or game.answer is None:
            return spent
        held, supply = await self._market.holding(game.index, game.answer, peer_id)
        return game.pool * held // supply if supply else 0
