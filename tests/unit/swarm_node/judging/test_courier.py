"""Proves: questions are fetched and answers handed in beside the rounds; a judge that is away, slow or hostile costs a
round nothing and ends nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from swarm_core.client import ServiceClient
from swarm_core.errors import Unavailable
from swarm_core.runner import Service
from swarm_node.judging.client import Asking, JudgeClient
from swarm_node.judging.courier import JudgeCourier

ASKING = Asking("Qm1", 7, "embedded")
Handler = Callable[[httpx.Request], httpx.Response]


class FakeExchange:
    """Signs like the daemon."""

    async def sign_judge_request(self, audience: str, digest: str, issued_at: int, nonce: str) -> dict[str, str]:
        assert audience == "5:0xab"
        return {"public_key": "cA==", "signature": digest}


class FakeChain:
    """Where we are."""

    chain_id, coordinator = 5, "0xAB"


class Judge:
    """A judge in memory; `answer` may be replaced."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answers: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/request-question/":
            self.asked.append(json.loads(request.content))
            return httpx.Response(200, json={"session_id": "s1", "question": "2 + 2 ="})
        if request.url.path == "/submit-answer/":
            self.answers.append(json.loads(request.content)["user_answer"])
            return httpx.Response(200, json={"score": 1})
        return httpx.Response(200, json=[{"round": 7, "swarm_score": 0.5}, {"round": 6, "swarm_score": None}])


def courier_of(handler: Handler) -> JudgeCourier:
    client = JudgeClient("http://judge", FakeExchange())  # type: ignore[arg-type]
    client._http = ServiceClient("http://judge", transport=httpx.MockTransport(handler))
    return JudgeCourier(client, FakeChain())  # type: ignore[arg-type]


async def until(condition: Callable[[], Any]) -> None:
    """Poll with a deadline."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - a poll with a deadline
            await asyncio.sleep(0.01)


async def running(courier: JudgeCourier, check: Callable[[], Any]) -> None:
    """Run the courier until `check` holds."""
    service = Service("test")
    task = asyncio.ensure_future(courier.run(service))
    try:
        await until(check)
    finally:
        service.stop.set()
        await task


async def test_a_question_is_fetched_answered_and_scored() -> None:
    judge = Judge()
    courier = courier_of(judge)
    assert courier.take() is None
    courier.want(ASKING)
    await running(courier, lambda: courier._question is not None)
    assert judge.asked[0]["user_id"] == "Qm1"
    assert set(judge.asked[0]["proof"]) == {"public_key", "signature", "issued_at", "nonce"}
    assert courier.take() == "2 + 2 ="
    assert courier.take() is None  # once
    courier.answer("<answer>4</answer>")
    await running(courier, lambda: courier.scores)
    assert judge.answers == ["<answer>4</answer>"]
    assert (courier.scores[0].round, courier.scores[0].score, courier.swarm_scores) == (7, 1.0, {7: 0.5})


async def test_nothing_that_a_round_calls_waits_for_a_judge_that_is_away() -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    courier = courier_of(away)
    service = Service("test")
    task = asyncio.ensure_future(courier.run(service))
    began = time.perf_counter()
    for _ in range(200):  # as many rounds
        courier.want(ASKING)
        assert courier.take() is None
    assert time.perf_counter() - began < 0.5
    await until(lambda: courier.reachable is False)
    service.stop.set()
    await task


@pytest.mark.parametrize(
    "body",
    [b"[", b'{"session_id": 7, "question": "x"}', b'{"question": ""}', b"[" * 100_000, b'"' + b"x" * 300_000 + b'"'],
)
async def test_what_is_no_question_is_not_taken_for_one(body: bytes) -> None:
    courier = courier_of(lambda request: httpx.Response(200, content=body))
    with pytest.raises(Unavailable):
        await courier._client.question(ASKING, "5:0xab")
    courier.want(ASKING)
    await running(courier, lambda: courier.reachable is False)
    assert courier.take() is None


async def test_a_refusal_is_shown_and_the_answer_is_given_up() -> None:
    def refuses(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/submit-answer/":
            return httpx.Response(410, json={"error": "AnswerTooLate"})
        return Judge()(request)

    courier = courier_of(refuses)
    courier.want(ASKING)
    await running(courier, lambda: courier._question is not None)
    courier.take()
    courier.answer("4")
    await running(courier, lambda: courier.refused)
    assert "AnswerTooLate" in courier.refused
    assert courier._answer is None
    assert not courier.scores


async def test_a_question_that_could_not_be_answered_makes_room_for_the_next() -> None:
    courier = courier_of(Judge())
    courier.want(ASKING)
    await running(courier, lambda: courier._question is not None)
    courier.take()
    courier.dropped()
    courier.want(ASKING)
    assert courier._wanted == ASKING


async def test_an_answer_whose_reply_was_lost_is_not_an_error() -> None:
    tries = iter(range(9))

    def loses(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/submit-answer/":
            return httpx.Response(502) if next(tries) == 0 else httpx.Response(409, json={"error": "AlreadyAnswered"})
        return Judge()(request)

    import swarm_node.judging.courier as module

    before, module._RETRY_SECONDS = module._RETRY_SECONDS, 0.01
    try:
        courier = courier_of(loses)
        courier.want(ASKING)
        await running(courier, lambda: courier._question is not None)
        courier.take()
        courier.answer("4")
        await running(courier, lambda: courier._answer is None)
        assert courier.refused == ""
    finally:
        module._RETRY_SECONDS = before
