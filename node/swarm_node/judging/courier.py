"""Fetches the judge's questions and hands answers in, beside the rounds: no round ever waits for the judge.

The worker says which round it is in (`want`), takes a question that is there (`take`), computes, and leaves the answer
(`answer`). One question at a time. A judge that is away is asked again later; what it missed is not made up for.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from swarm_chain.client import ChainClient
from swarm_core.errors import Refused, SwarmError, Unavailable
from swarm_core.judge_wire import audience
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_node.judging.client import Asking, JudgeClient, Question

_RETRY_SECONDS = 2.0
_IDLE_SECONDS = 30.0
_SUBMIT_TRIES = 5
_KEPT_SCORES = 200
log = get_logger("judge")


@dataclass(frozen=True)
class JudgeScore:
    """What the judge gave for an answer in a chain round."""

    round: int
    score: float
    at: float


class JudgeCourier:
    """`reachable` is None until the judge was asked."""

    def __init__(self, client: JudgeClient, chain: ChainClient) -> None:
        self._client, self._chain = client, chain
        self._wake = asyncio.Event()
        self._wanted: Asking | None = None
        self._question: tuple[Asking, Question] | None = None
        self._answer: tuple[Asking, Question, str] | None = None
        self._taken = False
        self.scores: deque[JudgeScore] = deque(maxlen=_KEPT_SCORES)
        self.swarm_scores: dict[int, float] = {}
        self.reachable: bool | None = None
        self.refused = ""

    def want(self, asking: Asking) -> None:
        """Ask for a question of this round, unless one is under way."""
        if self._question is None and self._answer is None:
            self._wanted = asking
            self._wake.set()

    def take(self) -> str | None:
        """The text of a question that waits to be answered; once."""
        if self._question is None or self._taken:
            return None
        self._taken = True
        return self._question[1].question

    def answer(self, text: str) -> None:
        """The completion for the question taken last."""
        if self._question is not None:
            self._answer, self._question, self._taken = (*self._question, text), None, False
            self._wake.set()

    def dropped(self) -> None:
        """The question taken last could not be answered."""
        self._question, self._taken = None, False

    async def run(self, service: Service) -> None:
        """Until asked to stop."""
        while not service.stop.is_set():
            self._wake.clear()
            pause = await self._errand()
            if self._answer is not None or self._wanted is not None:
                if await service.sleep(pause):
                    return
                continue
            waiting = [asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(service.stop.wait())]
            await asyncio.wait(waiting, timeout=_IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()

    async def _errand(self) -> float:
        """Hand in or fetch, whichever is due; the pause before the next try."""
        try:
            if self._answer is not None:
                await self._submit(*self._answer)
                self._answer = None
            elif self._wanted is not None and self._question is None:
                asking, self._wanted = self._wanted, None
                self._question = (asking, await self._client.question(asking, self._audience()))
            else:
                return _RETRY_SECONDS
            self._met(True)
        except Refused as error:
            self._met(True)
            self._answer = None  # refused once is refused for good: late, answered, or not registered yet
            if error.status != 429 and self.refused != error.detail:
                log.warning("the judge refuses", reason=error.detail)
            self.refused = error.detail
        except (Unavailable, SwarmError) as error:
            self._met(False, str(error))
        return _RETRY_SECONDS

    async def _submit(self, asking: Asking, question: Question, text: str) -> None:
        for attempt in range(_SUBMIT_TRIES):
            try:
                score = await self._client.submit(question.session_id, asking.round, text)
                break
            except Refused as error:
                if error.status == 409 and attempt:  # an earlier try arrived although its answer did not
                    return
                raise
            except Unavailable:
                if attempt + 1 == _SUBMIT_TRIES:
                    self._answer = None
                    raise
                await asyncio.sleep(_RETRY_SECONDS)
        self.scores.append(JudgeScore(asking.round, score, time.time()))
        self.swarm_scores = await self._client.swarm_scores(asking.peer_id)
        self.refused = ""
        log.info("judged", round=asking.round, score=score)

    def _audience(self) -> str:
        return audience(self._chain.chain_id, self._chain.coordinator)

    def _met(self, reachable: bool, why: str = "") -> None:
        if reachable != self.reachable and (self.reachable is not None or not reachable):
            say = log.info if reachable else log.warning
            say("judge answers" if reachable else "judge does not answer", reason=why or "-")
        self.reachable = reachable
