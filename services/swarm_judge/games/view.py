"""What players and auditors see of games: clues that were told, choices with their openings, the answer afterwards.

An opening (text, salt, proof) lets anybody check against the root on chain that clue, choices and answer were fixed
when the game began. Nothing that is still secret leaves this module.
"""

from __future__ import annotations

from typing import Any

from swarm_chain.market import Game, GameStatus
from swarm_judge.games.ledger import GameRow

NO_GAME = {"game_id": -1, "clue_id": -1, "rounds_remaining": -1, "clue": "", "choices": []}


def current_clue(row: GameRow | None, game: Game | None) -> dict[str, Any]:
    """Upstream's `/current_clue/`, with the openings beside it; -1 in the ids means no active game.

    `rounds_remaining` counts the current round: the stake of a player is its balance divided by it.
    """
    if row is None or game is None or row.index != game.index or row.answer_told or row.outcome is not None:
        return dict(NO_GAME)
    if game.status is not GameStatus.OPEN or row.clue != game.round:
        return dict(NO_GAME)
    secrets = row.secrets
    return {
        "game_id": game.index,
        "clue_id": row.clue,
        "rounds_remaining": game.rounds - row.clue,
        "clue": secrets.clues[row.clue],
        "choices": list(secrets.choices),
        "earlier_clues": list(secrets.clues[: row.clue]),
        "commitment": {"root": "0x" + row.root.hex(), "clue": _opening(row, row.clue), "choices": _choices(row)},
    }


def game_view(row: GameRow) -> dict[str, Any]:
    """One game as `/games` tells it."""
    secrets, over = row.secrets, row.answer_told
    told = range(row.clue + 1)
    view: dict[str, Any] = {
        "game_id": -1 if row.index is None else row.index,
        "market": row.market,
        "state": row.outcome or ("revealing" if over else "running"),
        "root": "0x" + row.root.hex(),
        "rounds": len(secrets.clues),
        "created": row.created,
        "ended": row.ended,
        "clues": [{"text": secrets.clues[number], **_opening(row, number)} for number in told],
        "choices": [],
        "answer": None,
    }
    if row.clue >= 0:
        view["choices"] = [
            {"text": text, **opening} for text, opening in zip(secrets.choices, _choices(row), strict=True)
        ]
    if over:
        position = len(secrets.clues)
        view["answer"] = {
            "choice": secrets.answer,
            "text": secrets.choices[secrets.answer],
            "question": secrets.question,
            **_opening(row, position),
        }
    return view


def _choices(row: GameRow) -> list[dict[str, Any]]:
    first = len(row.secrets.clues) + 1
    return [_opening(row, first + number) for number in range(len(row.secrets.choices))]


def _opening(row: GameRow, position: int) -> dict[str, Any]:
    leaf, proof = row.secrets.opening(position)
    return {
        "position": position,
        "index": leaf.index,
        "salt": "0x" + leaf.salt.hex(),
        "proof": ["0x" + node.hex() for node in proof],
    }
