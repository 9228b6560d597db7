"""The judge's HTTP API: upstream's three paths, and what makes them checkable. OpenAPI at `/openapi.json`.

Works on `Judge`. Everything a client sends is bounded before it is parsed. Errors are `{"error": "<ShortName>"}`.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict, Field

from swarm_core import __version__
from swarm_core.errors import Unavailable
from swarm_core.identity import MAX_PEER_ID_CHARS
from swarm_judge.body_limit import BodyLimit
from swarm_judge.judge import Judge
from swarm_judge.ladder import LEVELS
from swarm_judge.salts import commitment_of, salt_of
from swarm_judge.signatures import Proof, Refusal

MAX_BODY_BYTES = 64 * 1024
MAX_ANSWER_CHARS = 48 * 1024
_MAX_ROUND = 2**53
BOARD_ROUNDS = 8640  # what the leaderboard covers unless asked otherwise: a day of rounds of 10 s
_RETRY_AFTER = "2"


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class QuestionBody(_Body):
    """Ask for a question. `user_id` is the peer id; `proof` its signature, which unsigned clients leave out."""

    user_id: str = Field(min_length=1, max_length=MAX_PEER_ID_CHARS, pattern=r"^[1-9A-HJ-NP-Za-km-z]+$")
    round_number: int = Field(ge=0, le=_MAX_ROUND)
    model_name: str = Field(min_length=1, max_length=200)
    proof: Proof | None = None


class QuestionAnswer(BaseModel):
    """A question, and until when (seconds since 1970) its answer counts."""

    session_id: str
    question: str
    expires_at: float
    level: int
    round: int
    signed: bool


class AnswerBody(_Body):
    """The answer of a session: the whole completion with its `<answer>` tags, or the bare answer."""

    session_id: str = Field(pattern="^[0-9a-f]{32}$")
    round_number: int = Field(ge=0, le=_MAX_ROUND)
    user_answer: str = Field(max_length=MAX_ANSWER_CHARS)


class Score(BaseModel):
    """What the answer was worth, from 0 to 1."""

    score: float


def make_app(judge: Judge) -> FastAPI:
    """The ASGI application over `judge`."""
    app = FastAPI(title="RL Swarm judge", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, limit=MAX_BODY_BYTES)

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Exception) -> Response:
        refusal = error if isinstance(error, Refusal) else Refusal(400, "BadRequest")
        judge.refused[refusal.name] += 1
        headers = {"retry-after": _RETRY_AFTER} if refusal.status == 429 else None
        return JSONResponse({"error": refusal.name}, refusal.status, headers)

    @app.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Exception) -> Response:
        judge.refused["Unavailable"] += 1
        return JSONResponse({"error": "Unavailable", "reason": str(error)}, 503, {"retry-after": _RETRY_AFTER})

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: Exception) -> Response:
        judge.refused["BadRequest"] += 1
        return JSONResponse({"error": "BadRequest"}, 400)  # without the input, which may be large and hostile

    @app.post("/request-question/")
    async def request_question(body: QuestionBody) -> QuestionAnswer:
        session = await judge.evaluation.request(body.user_id, body.round_number, body.model_name, body.proof)
        return QuestionAnswer(
            session_id=session.id,
            question=session.question,
            expires_at=session.expires,
            level=session.level,
            round=session.round,
            signed=session.signed,
        )

    @app.post("/submit-answer/")
    async def submit_answer(body: AnswerBody) -> Score:
        return Score(score=await judge.evaluation.submit(body.session_id, body.user_answer))

    @app.get("/current_clue/")
    async def current_clue() -> dict[str, Any]:
        return judge.current_clue()

    @app.get("/games")
    async def games(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[dict[str, Any]]:
        return judge.games(limit)

    @app.get("/leaderboard")
    async def leaderboard(
        since_round: Annotated[int | None, Query(ge=0, le=_MAX_ROUND)] = None,
        until_round: Annotated[int, Query(ge=0, le=_MAX_ROUND)] = _MAX_ROUND,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        if since_round is None:
            since_round = max(0, (judge.rounds.current or 0) - BOARD_ROUNDS)
        rows = judge.leaderboard(since_round, until_round)
        return {
            "round": judge.rounds.current,
            "since_round": since_round,
            "peers": len(rows),
            "rows": [asdict(row) for row in rows[:limit]],
        }

    @app.get("/peers/{peer_id}")
    async def peer(
        peer_id: Annotated[str, Path(max_length=MAX_PEER_ID_CHARS)], limit: Annotated[int, Query(ge=1, le=500)] = 100
    ) -> list[dict[str, Any]]:
        return judge.peer(peer_id, limit)

    @app.get("/rounds/{number}")
    async def checked_round(number: Annotated[int, Path(ge=0, le=_MAX_ROUND)]) -> dict[str, Any]:
        salt = salt_of(judge.master_secret, number)
        told: dict[str, Any] = {"round": number, "commitment": commitment_of(salt), "salt": None, "questions": []}
        if judge.is_over(number, time.time()):
            told["salt"] = salt.hex()
            told["levels"] = LEVELS
            told["questions"] = [
                {"level": s.level, "number": s.number, "dataset": s.dataset, "seed": s.seed, "question": s.question,
                 "peer_id": s.peer, "score": s.score}
                for s in judge.store.questions_of(number)
            ]  # fmt: skip
        return told

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        return {"live": True, "round": judge.rounds.current, "chain": judge.rounds.reachable}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(judge.registry), media_type=CONTENT_TYPE_LATEST)

    return app
