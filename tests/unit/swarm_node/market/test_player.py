"""Proves: one bet a clue, stakes as upstream's, and a book that survives a crash, a new market and a new peer."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.errors import ConfigError
from swarm_node.judging.client import Clue
from swarm_node.market.book import MarketBook
from swarm_node.market.player import Player

MARKET = "1/0xmarket"


def clue(number: int, rounds: int = 3, game: int = 7) -> Clue:
    """The clue `number` of a game with three choices."""
    return Clue(
        game_id=game, clue_id=number, rounds_remaining=rounds - number, clue=f"clue {number}", choices=["a", "b", "c"]
    )


@pytest.fixture
def book(tmp_path: Path) -> MarketBook:
    """A book of a peer that plays."""
    book = MarketBook(tmp_path / "market.json")
    book.belongs_to(MARKET, "peer")
    book.playing(True)
    return book


def test_stakes_share_the_balance_over_the_rounds_that_remain(book: MarketBook) -> None:
    player = Player(book)
    player.balance, player.supplies = 1_000_000, [0, 0, 0]
    stakes = []
    for number in range(3):
        player.clue = clue(number)
        assert player.pending() is not None
        stakes.append(player.decide(player.clue, [-3.0, -1.0, -2.0]).stake)
        assert player.pending() is None  # at most one bet on a clue
        book.bet_is(7, number, "placed")
        player.balance -= stakes[-1]
    assert stakes == [333_333, 333_333, 333_334]
    assert [bet.choice for _, bet in book.bets()] == [1, 1, 1]


def test_a_bet_that_is_not_on_chain_yet_is_spent(book: MarketBook) -> None:
    player = Player(book)
    player.balance, player.clue = 900, clue(0)
    assert player.decide(player.clue, [0.0, 0.0, 0.0]).stake == 300
    player.clue = clue(1)  # the chain still shows a balance of 900
    assert player.stake(player.clue) == 300
    book.bet_is(7, 0, "missed")
    assert player.stake(player.clue) == 450


def test_belief_and_odds(book: MarketBook) -> None:
    player = Player(book)
    player.balance, player.clue, player.supplies = 300, clue(0), [100 * 10**18, 0, 300 * 10**18]
    bet = player.decide(player.clue, [0.0, 0.0, 0.0])
    assert bet.choice == 0
    assert bet.belief == pytest.approx(1 / 3)
    assert bet.odds == pytest.approx(500 / 200)
    player.clue = clue(1)
    assert player.decide(player.clue, [-1e6, -2e6, -3e6]).belief == pytest.approx(1.0)


def test_no_decision_without_consent_game_or_tokens(book: MarketBook) -> None:
    player = Player(book)
    assert player.pending() is None
    player.clue = clue(0)
    assert player.pending() is None  # nothing to bet
    player.balance = 10
    book.playing(False)
    assert player.pending() is None
    book.playing(True)
    assert player.pending() is not None
    player.clue = clue(0).model_copy(update={"game_id": -1})
    assert player.pending() is None


def test_a_restart_repeats_the_same_bet(book: MarketBook, tmp_path: Path) -> None:
    player = Player(book)
    player.balance, player.clue = 90, clue(0)
    bet = player.decide(player.clue, [0.0, 1.0, 0.0])
    again = MarketBook(tmp_path / "market.json")
    ((game, found),) = again.bets()
    assert (game.game, game.choices, found) == (7, ["a", "b", "c"], bet)
    other = Player(again)
    other.balance, other.clue = 90, clue(0)
    assert other.pending() is None


def test_another_market_or_peer_begins_a_new_book_and_keeps_the_old_one(book: MarketBook, tmp_path: Path) -> None:
    player = Player(book)
    player.balance, player.clue = 90, clue(0)
    player.decide(player.clue, [0.0, 1.0, 0.0])
    book.settled_before(5)
    book.belongs_to("2/0xother", "peer")
    assert (book.status.games, book.status.settled_before) == ([], 0)
    assert len(list(tmp_path.glob("market.*.json"))) == 1


def test_profit_and_what_is_unclaimed(book: MarketBook) -> None:
    book.outcome(1, status="revealed", spent=100, claimable=250, claimed=False)
    book.outcome(2, status="revealed", spent=40, claimable=0)
    book.outcome(3, status="open", spent=1000)
    assert (book.status.unclaimed, book.status.profit) == (250, 110)
    book.outcome(1, claimed=True, payout=250)
    assert (book.status.unclaimed, book.status.profit) == (0, 110)


def test_a_damaged_book_is_told(tmp_path: Path) -> None:
    path = tmp_path / "market.json"
    path.write_text('{"games": 7}')
    with pytest.raises(ConfigError, match="found again on the chain"):
        MarketBook(path)
