"""The judge as one object: what the API asks, put together from evaluation, leaderboard and games."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from prometheus_client import CollectorRegistry

from swarm_judge.evaluation import Evaluation
from swarm_judge.games.ledger import GameLedger
from swarm_judge.games.master import GameMaster
from swarm_judge.games.view import current_clue, game_view
from swarm_judge.leaderboard import Row, leaderboard
from swarm_judge.round_watch import RoundWatch
from swarm_judge.store import JudgeStore

_BOARD_SECONDS = 2.0
_MAX_BOARDS = 32


class Judge:
    """`master` is None where this judge holds no games."""

    def __init__(
        self,
        store: JudgeStore,
        evaluation: Evaluation,
        rounds: RoundWatch,
        ledger: GameLedger,
        master: GameMaster | None,
    ) -> None:
        self.store, self.evaluation, self.rounds, self.ledger, self.master = store, evaluation, rounds, ledger, master
        self.master_secret = store.master()
        self.refused: Counter[str] = Counter()
        self.registry = CollectorRegistry(auto_describe=False)
        self._boards: dict[tuple[int, int], tuple[float, list[Row]]] = {}

    def current_clue(self) -> dict[str, Any]:
        """The running game's newest clue."""
        return current_clue(self.ledger.running(), None if self.master is None else self.master.game)

    def games(self, limit: int) -> list[dict[str, Any]]:
        """The newest games, newest first."""
        return [game_view(row) for row in self.ledger.newest(limit)]

    def leaderboard(self, since_round: int, until_round: int) -> list[Row]:
        """Rows over these rounds; made at most every two seconds."""
        key, now = (since_round, until_round), time.monotonic()
        made, rows = self._boards.get(key, (float("-inf"), []))
        if now - made > _BOARD_SECONDS:
            rows = leaderboard(self.store.tallies(since_round, until_round))
            if len(self._boards) >= _MAX_BOARDS:
                self._boards.clear()
            self._boards[key] = (now, rows)
        return rows

    def peer(self, peer_id: str, limit: int) -> list[dict[str, Any]]:
        """A peer's score per round beside the mean of the swarm, newest first."""
        rows = self.store.of_peer(peer_id, limit)
        means = self.store.swarm_means(sorted({row[0] for row in rows}))
        return [
            {"round": number, "model": model, "answers": asked, "score": total / asked, "signed": signed,
             "swarm_score": means.get(number)}
            for number, model, asked, total, signed in rows
        ]  # fmt: skip

    def is_over(self, round_number: int, now: float) -> bool:
        """Whether the salt of a round may be told: the round is past and none of its questions can be answered."""
        current = self.rounds.current
        if current is None or round_number >= current:
            return False
        return self.store.latest_expiry(round_number) <= now
