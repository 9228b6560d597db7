"""The player's durable book: which bets were decided, what became of them, and from which game on claims are open.

One JSON file, written atomically at every change. A bet is in it before anybody is told, so a crash repeats the same
bet under the same key instead of making another. Works with `player` (decides) and `desk` (hands over, claims).
"""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import ValidationError

from swarm_core.errors import ConfigError
from swarm_core.files import read_json, write_json
from swarm_core.status import MarketBet, MarketGame, MarketStatus

_KEPT_GAMES = 200


class MarketBook:
    """Games of one peer on one market. `market` names the contract and its chain; another one begins a new book."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            raw = read_json(path)
            self.status = MarketStatus() if raw is None else MarketStatus.model_validate(raw)
        except (ValueError, ValidationError, OSError) as error:
            raise ConfigError(
                f"The market book {path} cannot be read ({type(error).__name__}).",
                "move it away; what was won is found again on the chain",
            ) from error

    def belongs_to(self, market: str, peer_id: str) -> None:
        """Begin anew when the market, its chain or the peer is another one; the old book is kept beside."""
        status = self.status
        if (status.market, status.peer_id) == (market, peer_id):
            return
        if status.games:
            write_json(self._path.with_suffix(f".{int(time.time())}.json"), status.model_dump())
        self._save(MarketStatus(market=market, peer_id=peer_id))

    def game(self, number: int) -> MarketGame | None:
        """A game in which this peer bet."""
        return next((game for game in self.status.games if game.game == number), None)

    def bets(self) -> list[tuple[MarketGame, MarketBet]]:
        """All bets, oldest first."""
        return [(game, bet) for game in self.status.games for bet in game.bets]

    def decide(self, number: int, choices: list[str], bet: MarketBet) -> None:
        """Write a bet down before it is handed over; nothing when there is one on this clue."""
        game = self.game(number) or MarketGame(game=number, choices=choices)
        if any(known.clue == bet.clue for known in game.bets):
            return
        self._put(game.model_copy(update={"bets": [*game.bets, bet]}))

    def bet_is(self, number: int, clue: int, state: str, reason: str = "") -> None:
        """What became of a bet."""
        game = self.game(number)
        if game is None:
            return
        bets = [
            bet.model_copy(update={"state": state, "reason": reason}) if bet.clue == clue else bet for bet in game.bets
        ]
        if bets != game.bets:
            self._put(game.model_copy(update={"bets": bets}))

    def outcome(self, number: int, **fields: object) -> None:
        """What the chain tells of a game: status, answer, what can be or was claimed."""
        game = self.game(number) or MarketGame(game=number)
        changed = game.model_copy(update=fields)
        if changed != game:
            self._put(changed)

    def settled_before(self, number: int) -> None:
        """Every earlier game is claimed or has nothing to claim."""
        if number != self.status.settled_before:
            self._save(self.status.model_copy(update={"settled_before": number}))

    def playing(self, enabled: bool) -> None:
        """Whether the operator lets this peer bet."""
        if enabled != self.status.playing:
            self._save(self.status.model_copy(update={"playing": enabled}))

    def _put(self, game: MarketGame) -> None:
        others = [known for known in self.status.games if known.game != game.game]
        games = sorted([*others, game], key=lambda known: known.game)[-_KEPT_GAMES:]
        self._save(self.status.model_copy(update={"games": games}))

    def _save(self, status: MarketStatus) -> None:
        write_json(self._path, status.model_dump())
        self.status = status
