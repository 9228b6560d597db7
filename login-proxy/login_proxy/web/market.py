"""Pages `/market` and `/judge`: every bet with its odds and outcome; the judge's scores over rounds beside the swarm's.

Shows what the workers of this host say on their sockets; asks neither judge nor chain.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from login_proxy.peers import PeerView
from login_proxy.texts.market import BET_STATES, GAME_STATES
from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site
from login_proxy.web.view import Badge
from login_proxy.web.visit import Visit
from swarm_core.names import peer_name
from swarm_core.status import JudgeStatus, MarketBet, MarketGame, MarketStatus

_SHOWN_GAMES = 20
_SHOWN_ANSWERS = 30


@dataclass(frozen=True)
class BetRow:
    """One bet. `right` is None while the answer is not known."""

    clue: int
    choice: str
    stake: int
    belief: str
    odds: str
    state: Badge
    right: bool | None


@dataclass(frozen=True)
class GameCard:
    """One game with this peer's bets."""

    number: int
    clue: str
    state: Badge
    answer: str
    bets: list[BetRow]
    spent: int
    paid: int | None
    claimed: bool
    claimable: int


@dataclass(frozen=True)
class MarketCard:
    """One peer on the market."""

    name: str
    node: str
    playing: bool
    profit: int
    unclaimed: int
    count: int
    games: list[GameCard]


@dataclass(frozen=True)
class JudgeCard:
    """One peer at the judge; `rows` are (round, score, swarm's mean or ""), newest first."""

    name: str
    node: str
    status: JudgeStatus
    mean: str
    above: str
    rows: list[tuple[int, str, str]]


class MarketPages:
    """Market and judge."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            Route("GET", "/market", Access.READER, self.market, nav="nav_market"),
            Route("GET", "/judge", Access.READER, self.judge, nav="nav_judge"),
        ]

    async def market(self, visit: Visit) -> Response:
        """Games and bets of every peer of this host."""
        views = await self._site.node.peers.views()
        cards = [
            _market(name, view.node, view.worker.market) for name, view in _named(views) if view.worker is not None
        ]
        return self._site.render(visit, "market.html", peers=cards)

    async def judge(self, visit: Visit) -> Response:
        """Scores of every peer of this host."""
        views = await self._site.node.peers.views()
        cards = [_judge(name, view.node, view.worker.judge) for name, view in _named(views) if view.worker is not None]
        return self._site.render(visit, "judge.html", peers=cards)


def _named(views: list[PeerView]) -> list[tuple[str, PeerView]]:
    return [
        (peer_name(view.worker.peer_id) if view.worker and view.worker.peer_id else view.node, view) for view in views
    ]


def _market(name: str, node: str, status: MarketStatus) -> MarketCard:
    games = [_game(game) for game in reversed(status.games[-_SHOWN_GAMES:])]
    return MarketCard(name, node, status.playing, status.profit, status.unclaimed, len(status.games), games)


def _game(game: MarketGame) -> GameCard:
    over = game.status in ("revealed", "refundable")
    return GameCard(
        number=game.game,
        clue=game.clue,
        state=Badge(*GAME_STATES.get(game.status, (game.status, "warn"))),
        answer="" if game.answer is None else _choice(game, game.answer),
        bets=[_bet(game, bet) for bet in game.bets],
        spent=game.spent,
        paid=(game.payout if game.claimed else game.claimable) if over else None,
        claimed=game.claimed,
        claimable=game.claimable,
    )


def _bet(game: MarketGame, bet: MarketBet) -> BetRow:
    return BetRow(
        clue=bet.clue + 1,
        choice=_choice(game, bet.choice),
        stake=bet.stake,
        belief=f"{bet.belief:.0%}",
        odds="" if bet.odds is None else f"{bet.odds:.2f}",
        state=Badge(*BET_STATES[bet.state], bet.reason),
        right=None if game.answer is None else game.answer == bet.choice,
    )


def _choice(game: MarketGame, index: int) -> str:
    return game.choices[index] if index < len(game.choices) else f"#{index}"


def _judge(name: str, node: str, status: JudgeStatus) -> JudgeCard:
    answers = status.answers
    mean = sum(answer.score for answer in answers) / len(answers) if answers else None
    compared = [(answer.score, answer.swarm_score) for answer in answers if answer.swarm_score is not None]
    above = sum(own - swarm for own, swarm in compared) / len(compared) if compared else None
    rows = [
        (answer.round, f"{answer.score:.2f}", "" if answer.swarm_score is None else f"{answer.swarm_score:.2f}")
        for answer in reversed(answers[-_SHOWN_ANSWERS:])
    ]
    return JudgeCard(
        name, node, status, "" if mean is None else f"{mean:.2f}", "" if above is None else f"{above:+.2f}", rows
    )
