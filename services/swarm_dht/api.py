"""The daemon's API on `dht.sock`, for the worker, the login service and the exporter (ARCHITECTURE.md §4.1).

Works on `Daemon`; no key material goes over it. Peers' faults never become errors here: they are counts.
"""

from __future__ import annotations

import base64
import json
from typing import Annotated, Any

import msgpack
from fastapi import FastAPI, HTTPException, Path, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from swarm_core.errors import RecordError
from swarm_core.genrl import MAX_BYTES as MAX_GENRL_BYTES
from swarm_core.identity import judge_message, sign_binding
from swarm_core.records import MAX_BATCH_BYTES, MAX_ROUND, GroupBatch
from swarm_core.status import DhtStatus, KnownPeer
from swarm_dht.collect import MAX_PEERS, CollectRequest
from swarm_dht.compat.collect import collect_both
from swarm_dht.daemon import Daemon
from swarm_dht.generation import CALL_ERRORS
from swarm_dht.metrics import registry_of
from swarm_dht.shelf import PublishedGroup

_MAX_DEADLINE_MS = 120_000
_STORE_SECONDS = 4.0
MSGPACK = "application/msgpack"
COLLECT_HEADER = "x-swarm-collect"


class CollectBody(BaseModel):
    """Body of `POST /v1/collect`."""

    want: int = Field(ge=1, le=4096)
    max_peers: int = Field(MAX_PEERS, ge=1)
    deadline_ms: int = Field(ge=1, le=_MAX_DEADLINE_MS)
    max_age_s: float | None = Field(None, gt=0)
    genrl_round: int | None = Field(None, ge=0, le=MAX_ROUND)
    wait_s: float = Field(0.0, ge=0, le=5)


class Verdict(BaseModel):
    """What the worker found about groups of one peer; `good` is the reason of praise."""

    peer: str = Field(max_length=128)
    reason: str = Field(pattern="^[a-z_]{1,32}$")
    count: int = Field(1, ge=1, le=4096)


class VerdictsBody(BaseModel):
    """Body of `POST /v1/verdicts`."""

    verdicts: list[Verdict] = Field(max_length=4096)


class OwnersBody(BaseModel):
    """Body of `PUT /v1/owners`: peer → account that the contract names, null for none."""

    owners: dict[Annotated[str, Field(max_length=128)], Annotated[str, Field(max_length=64)] | None]


class BootnodesBody(BaseModel):
    """Body of `PUT /v1/bootnodes`."""

    addresses: list[Annotated[str, Field(max_length=1024)]] = Field(max_length=256)


class BindBody(BaseModel):
    """Body of `POST /v1/bind`."""

    chain_id: int = Field(ge=1, lt=2**63)
    contract: str = Field(pattern="^0x[0-9a-fA-F]{40}$")
    account: str = Field(pattern="^0x[0-9a-fA-F]{40}$")


class JudgeRequestBody(BaseModel):
    """Body of `POST /v1/sign-judge-request`: fields of a fixed message, never bytes of the caller's choice."""

    audience: str = Field(pattern="^[0-9]{1,20}:0x[0-9a-fA-F]{40}$")
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    issued_at: int = Field(ge=0, lt=2**53)
    nonce: str = Field(pattern="^[0-9a-f]{32}$")


def make_app(daemon: Daemon) -> FastAPI:
    """The ASGI application over `daemon`."""
    app = FastAPI(title="swarm-dht", openapi_url=None, docs_url=None, redoc_url=None)
    registry = registry_of(daemon)

    @app.get("/v1/live")
    async def live() -> dict[str, str]:
        return {"state": daemon.state.state}

    @app.get("/v1/status")
    async def status() -> DhtStatus:
        return daemon.status()

    @app.put("/v1/groups")
    async def put_groups(request: Request) -> dict[str, Any]:
        batch = _decode(await _body(request, MAX_BATCH_BYTES))
        serving = daemon.shelf.put(batch)
        return {"serving": serving, "instance": daemon.instance, "generation": daemon.supervisor.number}

    @app.put("/v1/genrl/{number}")
    async def put_genrl(request: Request, number: Annotated[int, Path(ge=0, le=MAX_ROUND)]) -> dict[str, int]:
        if daemon.compat is None:
            raise HTTPException(409, "this daemon does not share with genrl peers; set SWARM_DHT_COMPAT=genrl")
        try:
            return {
                "replicas": await daemon.compat.publish(number, await _body(request, MAX_GENRL_BYTES), _STORE_SECONDS)
            }
        except RecordError as error:
            raise HTTPException(422, f"not a valid genrl record: {error}") from error
        except CALL_ERRORS:
            return {"replicas": 0}

    @app.get("/v1/published")
    async def published() -> list[PublishedGroup]:
        return daemon.published()

    @app.post("/v1/collect")
    async def collect(body: CollectBody) -> Response:
        max_age = min(body.max_age_s or daemon.max_age, daemon.max_age)
        wish = CollectRequest(
            body.want, min(body.max_peers, MAX_PEERS), body.deadline_ms / 1000.0, max_age, body.wait_s
        )
        if daemon.compat is not None and body.genrl_round is not None:
            result = await collect_both(daemon.collector, daemon.compat, wish, body.genrl_round)
        else:
            result = await daemon.collector.collect(wish)
        genrl = result.genrl
        content = msgpack.packb([[*entry, "genrl" if entry[0] in genrl else "direct"] for entry in result.batches])
        return Response(content, media_type=MSGPACK, headers={COLLECT_HEADER: json.dumps(result.counts())})

    @app.put("/v1/bootnodes", status_code=204)
    async def put_bootnodes(body: BootnodesBody) -> None:
        daemon.bootnodes.learn(body.addresses)

    @app.get("/v1/peers")
    async def peers() -> list[KnownPeer]:
        return daemon.peers()

    @app.put("/v1/owners", status_code=204)
    async def put_owners(body: OwnersBody) -> None:
        daemon.policy.learn_owners(body.owners)

    @app.post("/v1/verdicts", status_code=204)
    async def post_verdicts(body: VerdictsBody) -> None:
        for verdict in body.verdicts:
            if verdict.reason == "good":
                daemon.policy.praised(verdict.peer, verdict.count)
            else:
                daemon.policy.blamed(verdict.peer, verdict.reason, verdict.count)

    @app.post("/v1/bind")
    async def bind(body: BindBody) -> dict[str, str]:
        signature = sign_binding(daemon.key, body.account, body.chain_id, body.contract)
        return {
            "peer_id": daemon.key.peer_id,
            "public_key": base64.b64encode(daemon.key.public).decode(),
            "signature": base64.b64encode(signature).decode(),
        }

    @app.post("/v1/sign-judge-request")
    async def sign_judge_request(body: JudgeRequestBody) -> dict[str, str]:
        message = judge_message(daemon.key.peer_id, body.audience, body.digest, body.issued_at, body.nonce)
        return {
            "peer_id": daemon.key.peer_id,
            "public_key": base64.b64encode(daemon.key.public).decode(),
            "signature": base64.b64encode(daemon.key.sign(message)).decode(),
        }

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return app


async def _body(request: Request, limit: int) -> bytes:
    """The request's body, refused with 413 as soon as it is longer than `limit`."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise HTTPException(413, f"a batch has at most {limit} bytes; publish fewer groups")
    return bytes(data)


def _decode(data: bytes) -> GroupBatch:
    try:
        return GroupBatch.decode(data)
    except RecordError as error:
        raise HTTPException(422, f"not a valid batch: {error}") from error
