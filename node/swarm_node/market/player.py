"""Decides bets: the choice the model finds likeliest, a stake of balance // rounds remaining, at most one bet a clue.

Pure but for the book. The worker calls `pending` and `decide` between rounds; `desk` does everything that waits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

from swarm_core.log import get_logger
from swarm_core.status import MarketBet
from swarm_node.judging.client import Clue
from swarm_node.market.book import MarketBook
from swarm_node.market.choices import best

log = get_logger("market")


class Player:
    """`clue`, `balance` and `supplies` are set by the desk; None: not known now."""

    def __init__(self, book: MarketBook) -> None:
        self.book = book
        self.clue: Clue | None = None
        self.balance = 0
        self.supplies: list[int] = []

    def pending(self) -> Clue | None:
        """The clue that waits for a decision."""
        clue = self.clue
        if clue is None or not clue.playable or not self.book.status.playing:
            return None
        game = self.book.game(clue.game_id)
        if game is not None and any(bet.clue == clue.clue_id for bet in game.bets):
            return None
        return clue if self.stake(clue) > 0 else None

    def stake(self, clue: Clue) -> int:
        """What to bet on the clue; bets of this game that the chain does not show yet are spent already."""
        game = self.book.game(clue.game_id)
        under_way = sum(bet.stake for bet in game.bets if bet.state in ("decided", "handed_over")) if game else 0
        return max(0, self.balance - under_way) // clue.rounds_remaining

    def decide(self, clue: Clue, scores: Sequence[float]) -> MarketBet:
        """Write down the bet on the likeliest choice and return it."""
        choice = best(scores)
        stake = self.stake(clue)
        peak = max(scores)
        total = sum(math.exp(score - peak) for score in scores)
        bet = MarketBet(
            clue=clue.clue_id,
            choice=choice,
            stake=stake,
            belief=math.exp(scores[choice] - peak) / total,
            odds=self._odds(clue, choice, stake),
            decided_at=time.time(),
        )
        self.book.decide(clue.game_id, clue.choices, bet)
        self.book.outcome(clue.game_id, clue=clue.clue)
        log.info("bet decided", game=clue.game_id, clue=clue.clue_id, choice=clue.choices[choice], stake=stake)
        return bet

    def _odds(self, clue: Clue, choice: int, stake: int) -> float | None:
        """What the market thinks: all choice tokens for each of this choice, our bet included; None if unknown."""
        if len(self.supplies) != len(clue.choices) or stake == 0:
            return None
        bought = stake * 10**18 // (clue.clue_id + 1)
        return (sum(self.supplies) + bought) / (self.supplies[choice] + bought)
