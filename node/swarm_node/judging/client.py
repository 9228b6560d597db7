"""HTTP client of the judge. Requests for a question are signed by the daemon, which holds the peer key.

What the judge answers is a stranger's: it is bounded and checked before anything is done with it.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json  # bounds the depth; json overruns the stack where a library raised Python's limit

from swarm_core.client import ServiceClient
from swarm_core.errors import Unavailable
from swarm_core.judge_wire import request_digest
from swarm_node.exchange import Exchange

_CALL_SECONDS = 5.0
_MAX_ANSWER_BYTES = 256 * 1024
MAX_TEXT_CHARS = 8192
_ROUNDS = 100
A = TypeVar("A", bound=BaseModel)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class Question(_Answer):
    """A question and its session."""

    session_id: Annotated[str, Field(min_length=1, max_length=128)]
    question: Annotated[str, Field(min_length=1, max_length=MAX_TEXT_CHARS)]


class _Score(_Answer):
    score: Annotated[float, Field(ge=0, le=1, strict=False)]


class _RoundScore(_Answer):
    round: Annotated[int, Field(ge=0, lt=2**53)]
    swarm_score: Annotated[float, Field(ge=0, le=1, strict=False)] | None = None


class Clue(_Answer):
    """The newest clue of the running game. `rounds_remaining` counts the current one; ids of -1: no game."""

    game_id: Annotated[int, Field(ge=-1, lt=2**53)]
    clue_id: Annotated[int, Field(ge=-1, lt=2**16)]
    rounds_remaining: Annotated[int, Field(ge=-1, lt=2**16)]
    clue: Annotated[str, Field(max_length=MAX_TEXT_CHARS)]
    choices: Annotated[list[Annotated[str, Field(min_length=1, max_length=512)]], Field(max_length=32)]
    earlier_clues: Annotated[list[Annotated[str, Field(max_length=MAX_TEXT_CHARS)]], Field(max_length=32)] = []

    @property
    def playable(self) -> bool:
        """Whether a bet can be made on it."""
        return min(self.game_id, self.clue_id) >= 0 and self.rounds_remaining >= 1 and len(self.choices) >= 2


@dataclass(frozen=True)
class Asking:
    """Who asks: the peer, its round and model."""

    peer_id: str
    round: int
    model: str


class JudgeClient:
    """One judge. Methods raise Unavailable and Refused."""

    def __init__(self, url: str, exchange: Exchange) -> None:
        self._http = ServiceClient(url)
        self._exchange = exchange

    async def question(self, asking: Asking, audience: str) -> Question:
        """Ask for a question, signed for the judge of this swarm (`audience`)."""
        issued_at, nonce = int(time.time()), secrets.token_hex(16)
        digest = request_digest(asking.peer_id, asking.round, asking.model)
        proof = await self._exchange.sign_judge_request(audience, digest, issued_at, nonce)
        body = {
            "user_id": asking.peer_id,
            "round_number": asking.round,
            "model_name": asking.model,
            "proof": {**proof, "issued_at": issued_at, "nonce": nonce},
        }
        return _checked(Question, await self._post("/request-question/", body))

    async def submit(self, session_id: str, round_number: int, answer: str) -> float:
        """Hand in an answer; its score."""
        body = {"session_id": session_id, "round_number": round_number, "user_answer": answer}
        return _checked(_Score, await self._post("/submit-answer/", body)).score

    async def swarm_scores(self, peer_id: str) -> dict[int, float]:
        """Mean score of the swarm in the newest rounds in which this peer was asked."""
        answer = await self._http.request("GET", f"/peers/{peer_id}?limit={_ROUNDS}", deadline=_CALL_SECONDS)
        raw = _json(answer)
        rows = [_checked(_RoundScore, row) for row in (raw if isinstance(raw, list) else [])[:_ROUNDS]]
        return {row.round: row.swarm_score for row in rows if row.swarm_score is not None}

    async def clue(self) -> Clue:
        """The newest clue."""
        answer = await self._http.request("GET", "/current_clue/", deadline=_CALL_SECONDS)
        return _checked(Clue, _json(answer))

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        # not idempotent: a second answer would be refused although the first one counted
        return _json(await self._http.request("POST", path, deadline=_CALL_SECONDS, json=body, idempotent=False))

    async def close(self) -> None:
        """Close the connection pool."""
        await self._http.close()


def _json(answer: Any) -> Any:
    if len(answer.content) > _MAX_ANSWER_BYTES:
        raise Unavailable(f"the judge answered {len(answer.content)} bytes")
    try:
        return from_json(answer.content)
    except ValueError as error:
        raise Unavailable("the judge's answer is not JSON") from error


def _checked(model: type[A], raw: Any) -> A:
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise Unavailable(f"the judge's answer has {error.error_count()} faults") from error
