"""The worker API on :3001: upstream's `/api/*` endpoints behind a bearer token, answered from the outbox.

With `Prefer: respond-async` an intent is answered as soon as it is on disk. Without, the call waits for the receipt,
at most 20 seconds, because upstream's client has no time-out of its own. Works with `node`; knows no key. With the
drop-in on (`drop_in`), an unmodified upstream trainer may call too.
"""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Any, Literal, TypeVar

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ValidationError
from starlette.middleware.base import RequestResponseEndpoint
from starlette.responses import Response

from login_proxy.drop_in import ORG, basic_token
from login_proxy.node import LoginNode
from login_proxy.outbox.intents import Intent, Kind, ParkReason, State
from login_proxy.outbox.store import Conflict
from login_proxy.web.bodies import BodyTooLarge, read_body
from login_proxy.web.worker_bodies import ClaimBody, GuessBody, PeerBody, RegisterBody, RewardBody, WinnerBody
from swarm_chain.errors import ContractError, WrongContract
from swarm_chain.market import MarketClient
from swarm_core.choices import NodeChoices
from swarm_core.errors import Unavailable

MAX_BODY_BYTES = 16 * 1024
WAIT_SECONDS = 20.0


B = TypeVar("B", bound=PeerBody)
W = TypeVar("W", RegisterBody, RewardBody, WinnerBody, GuessBody, ClaimBody)


def reads(model: type[BaseModel]) -> dict[str, Any]:
    """The body of a route, for `FastAPI.openapi`; tests generate requests from it."""
    content = {"application/json": {"schema": model.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}


def make_worker_api(node: LoginNode, token: str) -> FastAPI:
    """The ASGI app of the worker API."""
    app = FastAPI(title="RL Swarm worker API", docs_url=None, redoc_url=None, openapi_url=None)
    expected = f"Bearer {token}".encode()
    drop_in = node.settings.drop_in

    @app.middleware("http")
    async def authenticate(request: Request, call_next: RequestResponseEndpoint) -> Response:
        offered = request.headers.get("authorization", "").encode("latin-1", "replace")
        if drop_in and (basic := basic_token(offered)) is not None:
            offered = b"Bearer " + basic
        if not hmac.compare_digest(offered, expected):
            return _error(HTTPStatus.UNAUTHORIZED, "unauthorized")
        return await call_next(request)

    @app.get("/api/get-api-key-status", response_class=PlainTextResponse)
    async def api_key_status(orgId: str = ORG) -> Response:
        if orgId != ORG:
            return _error(HTTPStatus.NOT_FOUND, "user not found")
        status: Literal["activated", "pending"] = "activated" if node.wallet is not None else "pending"
        return PlainTextResponse(status)

    @app.get("/api/node-settings")
    async def node_settings() -> NodeChoices:
        return node.choices.current

    @app.post("/api/register-peer", openapi_extra=reads(RegisterBody))
    async def register_peer(request: Request) -> Response:
        return await _submit(node, request, RegisterBody)

    @app.post("/api/submit-reward", openapi_extra=reads(RewardBody))
    async def submit_reward(request: Request) -> Response:
        return await _submit(node, request, RewardBody)

    @app.post("/api/submit-winner", openapi_extra=reads(WinnerBody))
    async def submit_winner(request: Request) -> Response:
        return await _submit(node, request, WinnerBody)

    @app.post("/api/guess-answer", openapi_extra=reads(GuessBody))
    async def guess_answer(request: Request) -> Response:
        return await _submit(node, request, GuessBody)

    @app.post("/api/claim-reward", openapi_extra=reads(ClaimBody))
    async def claim_reward(request: Request) -> Response:
        return await _submit(node, request, ClaimBody)

    @app.post("/api/bet-token-balance", openapi_extra=reads(PeerBody))
    async def bet_token_balance(request: Request) -> Response:
        body = await _body(node, request, PeerBody)
        if isinstance(body, Response):
            return body
        try:
            balance = await MarketClient(node.client).bet_token_balance(body.peerId)
        except ContractError as error:
            return _error(HTTPStatus.BAD_REQUEST, error.name or "reverted", metaMessages=[])
        except (Unavailable, WrongContract) as error:
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return JSONResponse({"result": str(balance)})

    return app


async def _body(node: LoginNode, request: Request, model: type[B]) -> B | Response:
    """The body for a peer of this host, or the refusal."""
    try:
        body = model.model_validate_json(await read_body(request, MAX_BODY_BYTES))
    except BodyTooLarge:
        return _error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too large")
    except ValidationError:
        return _error(HTTPStatus.BAD_REQUEST, "bad request")
    if body.orgId != ORG:
        return _error(HTTPStatus.NOT_FOUND, "user not found")
    if isinstance(body, RegisterBody) and node.settings.drop_in:
        node.peers.vouch(body.peerId)
    if not await node.peers.is_own(body.peerId):
        return _error(HTTPStatus.FORBIDDEN, "this peer is none of this host's own, or its daemon has not been seen yet")
    return body


async def _submit(node: LoginNode, request: Request, model: type[W]) -> Response:
    body = await _body(node, request, model)
    if isinstance(body, Response):
        return body
    if body.intent().kind.of_market and not node.store.target.market:
        return _error(HTTPStatus.SERVICE_UNAVAILABLE, "this swarm has no prediction market")
    try:
        intent, _ = node.store.put(body.intent())
    except Conflict:
        return _error(HTTPStatus.CONFLICT, "the same submission was made before with another content")
    node.writer.wake()
    if "respond-async" not in request.headers.get("prefer", "").lower():
        intent = await node.writer.wait_settled(intent.key, WAIT_SECONDS) or intent
    elif intent.state not in (State.DELIVERED, State.REJECTED):
        return _accepted(intent)
    return _outcome(intent)


def _outcome(intent: Intent) -> Response:
    if intent.state is State.REJECTED:
        return _error(HTTPStatus.BAD_REQUEST, intent.reason, metaMessages=[])
    if intent.state is State.PARKED and intent.reason == ParkReason.OWNED_BY_OTHER and _is_register(intent):
        return _error(HTTPStatus.BAD_REQUEST, "PeerIdAlreadyRegistered", metaMessages=["owned by another account"])
    if intent.state is not State.DELIVERED:
        return _accepted(intent)
    if intent.tx_hash is None and _is_register(intent):  # ours already, by a transaction we do not know
        return _error(HTTPStatus.BAD_REQUEST, "PeerIdAlreadyRegistered", metaMessages=[])
    return JSONResponse({"hash": intent.tx_hash, "state": intent.state.value, "intent": intent.key})


def _is_register(intent: Intent) -> bool:
    return intent.request.kind is Kind.REGISTER


def _accepted(intent: Intent) -> Response:
    last = intent.last_attempt
    content = {"hash": last.hash if last else None, "state": intent.state.value, "intent": intent.key}
    return JSONResponse(content, HTTPStatus.ACCEPTED)


def _error(status: HTTPStatus, error: str, **more: Any) -> Response:
    return JSONResponse({"error": error, **more}, status)
