"""Many questions to one RPC that may drop some of them: bounded parallelism, failures kept apart from answers.

Works with `delivery`, `flight` and `reconcile`. One lost answer must not throw away the others; many lost answers
mean that asking on is a waste of time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

from swarm_chain.errors import RpcRefused
from swarm_core.errors import SwarmError, Unavailable

T = TypeVar("T")
Question = Callable[[], Awaitable[T]]

PARALLEL = 8
_GIVE_UP_AFTER = 6
_ROUNDS = 6
_TRIES = 4
_QUICK_SECONDS = 1.0


async def ask_all(questions: Sequence[Question[T]]) -> list[T | Unavailable]:
    """Answers in order. A failed question answers its Unavailable; after several failures the rest is not asked.

    Raises the first other SwarmError. An answer may itself be an exception object.
    """
    gate = asyncio.Semaphore(PARALLEL)
    failures: list[Unavailable] = []

    async def one(question: Question[T]) -> tuple[T | Unavailable | None, BaseException | None]:
        async with gate:
            if len(failures) >= _GIVE_UP_AFTER:
                return failures[-1], None
            try:
                return await question(), None
            except Unavailable as error:
                failures.append(error)
                return error, None
            except SwarmError as error:
                return None, error

    # all are waited for: one that raised must not leave others running behind the next step
    results = await asyncio.gather(*(one(question) for question in questions))
    for _, raised in results:
        if raised is not None:
            raise raised
    return [cast("T | Unavailable", answer) for answer, _ in results]


async def persist(question: Question[T]) -> T:
    """The answer to one question that a lossy RPC may drop: asked again at once, as long as it fails quickly.

    Only for questions: they change nothing. Raises Unavailable, and everything else, as the last try did.
    """
    for _ in range(_TRIES - 1):
        began = time.monotonic()
        try:
            return await question()
        except RpcRefused:
            raise
        except Unavailable:
            if time.monotonic() - began > _QUICK_SECONDS:  # an outage, not a loss
                raise
    return await question()


async def ask_until_answered(questions: Sequence[Question[T]]) -> list[T]:
    """Answers in order, lost ones asked again a few times. Raises Unavailable when some stay unanswered."""
    answers: list[T | Unavailable] = await ask_all(questions)
    for _ in range(_ROUNDS):
        open_ones = [index for index, answer in enumerate(answers) if isinstance(answer, Unavailable)]
        if not open_ones:
            break
        for index, answer in zip(open_ones, await ask_all([questions[i] for i in open_ones]), strict=True):
            answers[index] = answer
    known: list[T] = []
    for answer in answers:
        if isinstance(answer, Unavailable):
            raise answer
        known.append(answer)
    return known
