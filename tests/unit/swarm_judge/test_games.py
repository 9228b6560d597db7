"""Proves: a game's clues grow more telling, its commitment opens, and nothing secret is shown before its time."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from swarm_chain.commitment import is_proven
from swarm_chain.market import Game, GameStatus
from swarm_judge.games.ledger import GameLedger
from swarm_judge.games.secrets import GameSecrets, compose
from swarm_judge.games.view import NO_GAME, current_clue, game_view
from swarm_judge.store import JudgeStore

MARKET = "0x" + "ab" * 20


def chain_game(index: int, round_index: int, status: GameStatus, secrets: GameSecrets) -> Game:
    """The game as the chain would show it."""
    rounds, choices = len(secrets.clues), len(secrets.choices)
    return Game(index, status, secrets.root, rounds, choices, round_index, 0, None, 0, 0)


@pytest.mark.parametrize("rounds", [1, 2, 3, 5])
@pytest.mark.parametrize("answer", [0, 1, 7, -3, 480])
def test_the_answer_is_one_of_different_choices_and_fits_every_clue(rounds: int, answer: int) -> None:
    secrets = compose("2 + 5 =", answer, rounds, 4, random.Random(1))
    assert secrets.choices[secrets.answer] == str(answer)
    assert len(set(secrets.choices)) == 4
    assert len(secrets.clues) == rounds
    assert "2 + 5 =" in secrets.clues[-1]
    assert not any("2 + 5" in clue for clue in secrets.clues[:-1])
    assert GameSecrets.from_json(secrets.to_json()) == secrets
    assert all(is_proven(secrets.root, *secrets.opening(place)) for place in range(rounds + 1 + 4))


def test_what_players_see_of_a_game_at_each_step(tmp_path: Path) -> None:
    store = JudgeStore(tmp_path / "judge.db")
    ledger = GameLedger(store.db)
    secrets = compose("secret question", 5, 3, 4, random.Random(2))
    row = ledger.begin(MARKET, secrets)

    def seen() -> str:
        found = ledger.running() or ledger.last()
        assert found is not None
        return json.dumps([game_view(found), current_clue(found, chain_game(7, found.clue, GameStatus.OPEN, secrets))])

    assert current_clue(None, None) == NO_GAME
    assert not any(text in seen() for text in (*secrets.clues, *secrets.salts))
    ledger.created(row, 7)
    for clue in range(3):
        ledger.clue_told(row, clue)
        shown = ledger.running()
        open_game = chain_game(7, clue, GameStatus.OPEN, secrets)
        told = current_clue(shown, open_game)
        assert (told["game_id"], told["clue_id"], told["rounds_remaining"]) == (7, clue, 3 - clue)
        assert told["clue"] == secrets.clues[clue]
        assert not any(later in seen() for later in secrets.clues[clue + 1 :])
        assert secrets.salts[3] not in seen()  # the answer's
        # bets closed, or the chain further than what was told: no clue to bet on
        assert current_clue(shown, chain_game(7, clue, GameStatus.CLOSED, secrets)) == NO_GAME
        assert current_clue(shown, chain_game(7, clue + 1, GameStatus.OPEN, secrets)) == NO_GAME
    ledger.answer_told(row)
    assert secrets.salts[3] in seen()
    assert current_clue(ledger.running(), chain_game(7, 2, GameStatus.OPEN, secrets)) == NO_GAME
    ledger.end(row, "revealed")
    assert ledger.running() is None
    store.close()
