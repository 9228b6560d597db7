"""The judge's book of games: secrets before anything is on chain, and how far each game came. Works with `store`."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from swarm_judge.games.secrets import GameSecrets


@dataclass(frozen=True)
class GameRow:
    """A game of ours. `index` is None until the chain has it; `clue` is the last one told, -1 for none.

    `clue_at`: since when bets are taken on it. `outcome`: None while the game runs, else `revealed`, `refunded` or
    `lost` (another chain or market took the place of its own).
    """

    id: int
    market: str
    root: bytes
    secrets: GameSecrets
    index: int | None
    clue: int
    clue_at: float | None
    answer_told: bool
    outcome: str | None
    created: float
    ended: float | None


class GameLedger:
    """Games in the judge's database."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def begin(self, market: str, secrets: GameSecrets) -> GameRow:
        """Remember a game before it is created."""
        cursor = self._db.execute(
            "INSERT INTO games (market, root, secrets, created) VALUES (?, ?, ?, ?)",
            (market, secrets.root, secrets.to_json(), time.time()),
        )
        found = self.by_id(int(cursor.lastrowid or 0))
        if found is None:
            raise sqlite3.DatabaseError("the game was not stored")
        return found

    def running(self) -> GameRow | None:
        """The game that has no outcome yet."""
        rows = self._rows("WHERE outcome IS NULL ORDER BY id LIMIT 1")
        return rows[0] if rows else None

    def last(self) -> GameRow | None:
        """The newest game."""
        rows = self._rows("ORDER BY id DESC LIMIT 1")
        return rows[0] if rows else None

    def newest(self, limit: int) -> list[GameRow]:
        """The newest games, newest first."""
        return self._rows("ORDER BY id DESC LIMIT ?", limit)

    def by_id(self, row_id: int) -> GameRow | None:
        """A game by our own number."""
        rows = self._rows("WHERE id = ?", row_id)
        return rows[0] if rows else None

    def count(self, market: str) -> int:
        """How many games were begun on this market."""
        return int(self._db.execute("SELECT COUNT(*) FROM games WHERE market = ?", (market,)).fetchone()[0])

    def created(self, row: GameRow, index: int) -> None:
        """The chain has the game under this index."""
        self._db.execute("UPDATE games SET game = ? WHERE id = ?", (index, row.id))

    def clue_told(self, row: GameRow, clue: int) -> None:
        """The clue is on chain; bets are taken from now on."""
        self._db.execute("UPDATE games SET clue = ?, clue_at = ? WHERE id = ?", (clue, time.time(), row.id))

    def answer_told(self, row: GameRow) -> None:
        """The answer goes out now: no bet may follow, whatever the chain forgets."""
        self._db.execute("UPDATE games SET answer_told = 1 WHERE id = ?", (row.id,))

    def end(self, row: GameRow, outcome: str) -> None:
        """The game is over."""
        self._db.execute("UPDATE games SET outcome = ?, ended = ? WHERE id = ?", (outcome, time.time(), row.id))

    def _rows(self, condition: str, *values: object) -> list[GameRow]:
        rows = self._db.execute(f"SELECT * FROM games {condition}", values)  # noqa: S608 - conditions are constants above
        return [_game(row) for row in rows]


def _game(row: sqlite3.Row) -> GameRow:
    return GameRow(
        id=row["id"],
        market=row["market"],
        root=bytes(row["root"]),
        secrets=GameSecrets.from_json(row["secrets"]),
        index=row["game"],
        clue=row["clue"],
        clue_at=row["clue_at"],
        answer_told=bool(row["answer_told"]),
        outcome=row["outcome"],
        created=row["created"],
        ended=row["ended"],
    )
