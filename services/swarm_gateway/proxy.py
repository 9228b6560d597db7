"""The HTTP side: JSON-RPC at `/`, the judge below `/judge/`, everything else is 404. One port, no cookies, no CORS.

Works with `rules` (what may pass), `limits` (how much) and an httpx client to the chain and the judge. Bodies,
batches, answers, time and calls under way are bounded; what stands behind is never named in an answer.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection
from typing import Any

import httpx
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse

from swarm_core.log import get_logger
from swarm_gateway.limits import Buckets, household
from swarm_gateway.rules import BAD_REQUEST, METHODS, Refusal, check

MAX_BODY_BYTES = 128 * 1024
MAX_BATCH = 64
MAX_DEPTH = 16
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
MAX_ANSWER_BYTES = 2 * 1024 * 1024
_BURST_SECONDS = 10.0  # a bucket holds what comes in so many seconds
_UNDER_WAY = 32
_QUEUE_SECONDS = 2.0
_BODY_SECONDS = 10.0  # a body that comes more slowly holds nobody else up
_UPSTREAM_SECONDS = 15.0
_JUDGE_PATHS = {"request-question/": "POST", "submit-answer/": "POST", "current_clue/": "GET"}
_UPSTREAM_FAILED = -32603
_SIGNATURE_HEADERS = "x-swarm-"  # how a peer signs what it asks the judge
log = get_logger("gateway")


class Gateway:
    """Passes on what the rules allow."""

    def __init__(
        self, chain: str, judge: str, contracts: Collection[str], reads: float, writes: float, client: httpx.AsyncClient
    ) -> None:
        self._chain = chain
        self._judge = judge.rstrip("/")
        self._contracts = frozenset(address.lower() for address in contracts)
        self._reads = Buckets(reads, reads * _BURST_SECONDS)
        self._writes = Buckets(writes, max(5.0, writes * _BURST_SECONDS))
        self._client = client
        self._slots = asyncio.Semaphore(_UNDER_WAY)
        self.counts: Counter[str] = Counter()

    async def rpc(self, body: bytes, address: str) -> Response:
        """The answer to a JSON-RPC body (one call or a batch) of `address`."""
        try:
            document = json.loads(checked_nesting(body))
        except (ValueError, RecursionError):
            return JSONResponse(_error(None, Refusal(-32700, "this is not JSON")), 400)
        calls = document if isinstance(document, list) else [document]
        if not 1 <= len(calls) <= MAX_BATCH:
            raise HTTPException(413, f"a batch has 1 to {MAX_BATCH} calls")
        self._charge(self._reads, address, len(calls))
        answers: list[Any] = [None] * len(calls)
        passed: list[dict[str, Any]] = []
        for number, call in enumerate(calls):
            try:
                passed.append({**self._checked(call, address), "id": number})
            except Refusal as refusal:
                self.counts["refused"] += 1
                answers[number] = _error(_id(call), refusal)
        for number, answer in (await self._ask_chain(passed)).items() if passed else ():
            answers[number] = {**answer, "id": _id(calls[number])}
        missing = Refusal(_UPSTREAM_FAILED, "the chain did not answer")
        answers = [answer or _error(_id(call), missing) for answer, call in zip(answers, calls, strict=True)]
        return JSONResponse(answers if isinstance(document, list) else answers[0])

    async def judge(self, path: str, request: Request, body: bytes, address: str) -> Response:
        """The judge's answer to one of its three requests."""
        if _JUDGE_PATHS.get(path) != request.method:
            raise HTTPException(404, "not found")
        self._charge(self._reads, address, 1)
        headers = {name: value for name, value in request.headers.items() if name.startswith(_SIGNATURE_HEADERS)}
        headers["content-type"] = "application/json"
        status, answer = await self._send(request.method, f"{self._judge}/{path}", body, headers)
        return Response(answer, status, media_type="application/json")

    def _checked(self, call: Any, address: str) -> dict[str, Any]:
        """The call to pass on. Raises Refusal."""
        if not isinstance(call, dict):
            raise Refusal(BAD_REQUEST, "a call is an object")
        params = call.get("params", [])
        writes = check(call.get("method"), params, self._contracts)
        if writes:
            self._charge(self._writes, address, 1)
        self.counts["written" if writes else "read"] += 1
        return {"jsonrpc": "2.0", "method": call["method"], "params": params}

    def _charge(self, buckets: Buckets, address: str, count: int) -> None:
        """Raises HTTPException 429 when `address` has asked too much."""
        if not buckets.take(household(address), count, asyncio.get_running_loop().time()):
            self.counts["limited"] += 1
            raise HTTPException(429, "too many requests from your address", headers={"retry-after": "5"})

    async def _ask_chain(self, calls: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
        """Number of the call → `result` or `error`. Whatever the chain adds beside is left out."""
        body = json.dumps(calls).encode()
        _, answer = await self._send("POST", self._chain, body, {"content-type": "application/json"})
        try:
            rows = json.loads(answer)
        except ValueError:
            rows = None
        found = {}
        for row in rows if isinstance(rows, list) else []:
            number = row.get("id") if isinstance(row, dict) else None
            if isinstance(number, int) and 0 <= number < MAX_BATCH:
                kept = {"error": row["error"]} if "error" in row else {"result": row.get("result")}
                found[number] = {"jsonrpc": "2.0", **kept}
        return found

    async def _send(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """(status, body) of what stands behind. Raises HTTPException 503 or 502."""
        try:
            async with asyncio.timeout(_QUEUE_SECONDS):
                await self._slots.acquire()
        except TimeoutError as error:
            self.counts["busy"] += 1
            raise HTTPException(503, "busy", headers={"retry-after": "5"}) from error
        try:
            async with asyncio.timeout(_UPSTREAM_SECONDS):
                async with self._client.stream(method, url, content=body, headers=headers) as answer:
                    data = bytearray()
                    async for chunk in answer.aiter_bytes():
                        data += chunk
                        if len(data) > MAX_ANSWER_BYTES:
                            raise HTTPException(502, "the answer is too large")
                    return answer.status_code, bytes(data)
        except (httpx.HTTPError, TimeoutError) as error:
            self.counts["failed"] += 1
            log.warning("no answer", behind="chain" if url == self._chain else "judge", error=repr(error)[:200])
            raise HTTPException(502, "what stands behind this gateway does not answer") from error
        finally:
            self._slots.release()


def make_app(gateway: Gateway) -> FastAPI:
    """The ASGI application."""
    app = FastAPI(title="swarm-gateway", openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> dict[str, int]:
        return {"methods": len(METHODS)}

    @app.post("/")
    async def rpc(request: Request) -> Response:
        return await gateway.rpc(await _body(request), _address(request))

    @app.api_route("/judge/{path:path}", methods=["GET", "POST"])
    async def judge(path: str, request: Request) -> Response:
        return await gateway.judge(path, request, await _body(request), _address(request))

    return app


async def _body(request: Request) -> bytes:
    """The body, refused as soon as it is too large or too slow."""
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MAX_BODY_BYTES:
                    raise HTTPException(413, f"a request has at most {MAX_BODY_BYTES} bytes")
    except TimeoutError as error:
        raise HTTPException(408, "the request took too long") from error
    return bytes(data)


def checked_nesting(body: bytes) -> bytes:
    """`body`, unless its brackets nest deeper than any call does. Raises ValueError.

    py_ecc, which eth-account brings, raises Python's recursion limit so far that the JSON parser overruns the stack
    and the process dies. Brackets within strings are counted too: no call has any.
    """
    depth = 0
    for bracket in body.translate(None, delete=_NO_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError("nested too deep")
    return body


def _address(request: Request) -> str:
    """Who asks, by the connection: headers could say anything."""
    return request.client.host if request.client is not None else ""


def _id(call: Any) -> Any:
    """The id to answer with: what JSON-RPC allows, short."""
    given = call.get("id") if isinstance(call, dict) else None
    return given if isinstance(given, int | float) or (isinstance(given, str) and len(given) <= 64) else None


def _error(identity: Any, refusal: Refusal) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "error": {"code": refusal.code, "message": str(refusal)}}
