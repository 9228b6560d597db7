"""What a worker computes for the swarm's host between two rounds: an answer for the judge, a bet on the market.

Nothing here waits for anybody: questions and clues are there or they are not (`courier`, `market.desk` fetch them
beside the rounds), so a judge that is away costs a round nothing. A failure costs the question or the bet, never the
round.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import torch

from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_core.status import JudgedAnswer, JudgeStatus, MarketStatus
from swarm_node.device import DeviceChoice
from swarm_node.judging.client import Asking, JudgeClient
from swarm_node.judging.courier import JudgeCourier
from swarm_node.market.choices import clue_prompt, score_choices
from swarm_node.market.desk import MarketDesk
from swarm_node.market.player import Player
from swarm_node.round import Learner

_SHOWN_GAMES = 20
_SHOWN_ANSWERS = 100
_EXPECTED = (RuntimeError, ValueError, OSError, MemoryError)
Compute = Callable[..., Awaitable[Any]]
log = get_logger("judge")


class HostWork:
    """Answers and bets with the learner's model."""

    def __init__(
        self,
        url: str,
        learner: Learner,
        device: DeviceChoice,
        client: JudgeClient,
        courier: JudgeCourier,
        player: Player,
        desk: MarketDesk,
        *,
        normalised: bool,
    ) -> None:
        self._url, self._learner, self._device, self._normalised = url, learner, device, normalised
        self._client, self._courier, self._player, self._desk = client, courier, player, desk

    def start(self, service: Service) -> None:
        """Begin to fetch."""
        service.spawn("judge", self._courier.run(service))
        service.spawn("market", self._desk.run(service))
        service.on_close("judge", self._client.close)

    async def step(self, compute: Compute, asking: Asking | None) -> None:
        """Answer and bet on what is there, then ask for the next question; `compute` runs torch beside the loop."""
        try:
            if (question := self._courier.take()) is not None:
                try:
                    self._courier.answer(await compute(self._answer, question))
                except _EXPECTED:
                    self._courier.dropped()
                    raise
            if (clue := self._player.pending()) is not None:
                prompt = clue_prompt(clue.clue, clue.earlier_clues, clue.choices)
                scores = await compute(self._scores, prompt, clue.choices)
                if self._player.pending() == clue:  # the next clue may have come meanwhile
                    self._player.decide(clue, scores)
        except _EXPECTED as error:
            log.warning("no answer or bet in this round", reason=f"{type(error).__name__}: {error}"[:300])
        if asking is not None:
            self._courier.want(asking)

    def judge_status(self) -> JudgeStatus:
        """For the worker's status."""
        courier = self._courier
        scores = list(courier.scores)[-_SHOWN_ANSWERS:]
        answers = [
            JudgedAnswer(
                round=score.round, score=score.score, at=score.at, swarm_score=courier.swarm_scores.get(score.round)
            )
            for score in scores
        ]
        return JudgeStatus(url=self._url, reachable=courier.reachable, refused=courier.refused, answers=answers)

    def market_status(self) -> MarketStatus:
        """For the worker's status: the newest games, and all that have something to claim."""
        status = self._player.book.status
        recent = status.games[-_SHOWN_GAMES:]
        open_claims = [game for game in status.games[:-_SHOWN_GAMES] if game.claimable and not game.claimed]
        return status.model_copy(update={"games": [*open_claims, *recent]})

    def _answer(self, question: str) -> str:
        prompt = self._learner.prompts.encode(question)
        return self._learner.policy.generate([prompt], 1, torch.Generator(), greedy=True)[0][0].text

    def _scores(self, prompt: str, choices: list[str]) -> list[float]:
        learner = self._learner
        return score_choices(
            learner.trainer.model, self._device, learner.prompts, prompt, choices, normalised=self._normalised
        )
