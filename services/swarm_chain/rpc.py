"""JSON-RPC over HTTP: bounded calls, several URLs that stand in for one another, no retries.

Each URL must answer the configured chain id before anything else is asked of it, also after it failed. A URL that
works is kept; only when it fails the next one is tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic_core import from_json  # bounds the depth; json overruns the stack where a library raised Python's limit

from swarm_chain.abi import contract_error
from swarm_chain.errors import RpcRefused, WrongChain
from swarm_core.errors import SwarmError, Unavailable

Call = tuple[str, list[Any]]

_CONNECT_SECONDS = 2.0
_PROBE_SECONDS = 2.0
_LAG = 3  # blocks that a node may be behind another one
_REVERT_CODE = 3
# what nodes answer when they are overloaded or limit the rate: not a refusal of this request
_BUSY_CODES = frozenset({-32005, 429})
# what reading a document of another form than expected raises
_NOT_JSON_RPC = (ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True)
class Probe:
    """How one URL fares: its newest block, or else the problem. `url` has no key in it."""

    url: str
    block: int | None
    problem: str = ""


class Rpc:
    """A JSON-RPC client of one chain. `seconds` bounds a call over all URLs together."""

    def __init__(
        self,
        urls: Sequence[str],
        chain_id: int,
        *,
        seconds: float = 5.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._urls = tuple(urls)
        self._chain_id = chain_id
        self._seconds = seconds
        self._current = 0
        self._verified: set[str] = set()
        limits = httpx.Limits(max_connections=8, max_keepalive_connections=2, keepalive_expiry=30.0)
        # trust_env=False: a proxy variable of the host must not capture traffic between our containers
        self._http = httpx.AsyncClient(transport=transport, limits=limits, trust_env=False)

    async def call(self, method: str, *params: Any) -> Any:
        """The result of one request. Raises Unavailable, WrongChain, ContractError (a revert) or RpcRefused."""
        return (await self.batch([(method, list(params))]))[0]

    async def batch(self, calls: Sequence[Call]) -> list[Any]:
        """Results in the order of `calls`, all from one URL. Raises as `call`, for the first call that failed."""
        share = self._seconds / len(self._urls)
        reasons: list[str] = []
        wrong: WrongChain | None = None
        for offset in range(len(self._urls)):
            index = (self._current + offset) % len(self._urls)
            url = self._urls[index]
            try:
                async with asyncio.timeout(share):
                    results = await self._ask(url, calls)
            except RpcRefused:
                self._current = index  # an answer, not an outage: another node would say the same
                raise
            except WrongChain as error:
                wrong = error
            except (Unavailable, TimeoutError) as error:
                self._verified.discard(url)
                reasons.append(f"{_shown(url)}: {error or f'no answer in {share:g} s'}")
            else:
                self._current = index
                return results
        if wrong is not None:
            raise wrong
        raise Unavailable(f"The chain's RPC cannot be reached ({'; '.join(reasons)}).")

    async def probe(self) -> list[Probe]:
        """How each URL fares, in order of preference; asks for chain id and block number, which every node allows."""
        return list(await asyncio.gather(*(self._probe(url) for url in self._urls)))

    async def prefer_healthy(self) -> None:
        """Go back to the first URL that works and is not far behind the others. With one URL there is no choice."""
        if len(self._urls) == 1:
            return
        blocks = [probe.block for probe in await self.probe()]
        newest = max((block for block in blocks if block is not None), default=None)
        if newest is not None:
            self._current = next(i for i, block in enumerate(blocks) if block is not None and block >= newest - _LAG)

    async def _probe(self, url: str) -> Probe:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                chain_id, block = await self._post(url, [("eth_chainId", []), ("eth_blockNumber", [])])
                if quantity(chain_id) != self._chain_id:
                    return Probe(_shown(url), None, f"{_shown(url)} serves chain {quantity(chain_id)}")
                return Probe(_shown(url), quantity(block))
        except (SwarmError, TimeoutError) as error:
            return Probe(_shown(url), None, f"{_shown(url)}: {error or 'no answer'}")

    async def close(self) -> None:
        """Close pooled connections."""
        await self._http.aclose()

    async def _ask(self, url: str, calls: Sequence[Call]) -> list[Any]:
        if url not in self._verified:
            (answer,) = await self._post(url, [("eth_chainId", [])])
            if (found := quantity(answer)) != self._chain_id:
                raise WrongChain(
                    f"The RPC {_shown(url)} serves chain {found}, SWARM_CHAIN_ID is {self._chain_id}: correct one."
                )
            self._verified.add(url)
        return await self._post(url, calls)

    async def _post(self, url: str, calls: Sequence[Call]) -> list[Any]:
        requests = [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(calls)
        ]
        timeout = httpx.Timeout(self._seconds, connect=min(_CONNECT_SECONDS, self._seconds))
        try:
            response = await self._http.post(url, json=requests if len(requests) > 1 else requests[0], timeout=timeout)
            if response.status_code >= 500 or response.status_code == 429:
                raise Unavailable(f"status {response.status_code}")
            raw = from_json(response.content)
            answers = {int(answer["id"]): answer for answer in (raw if isinstance(raw, list) else [raw])}
            return [_result(answers[number]) for number in range(len(calls))]
        except httpx.HTTPError as error:  # with DecodingError: a body that is not compressed as its header says
            raise Unavailable(str(error) or type(error).__name__) from error
        except _NOT_JSON_RPC as error:
            raise Unavailable("the answer is not JSON-RPC") from error


def quantity(result: Any) -> int:
    """The number in a result such as "0x1a". Raises Unavailable when it is none."""
    try:
        return int(result, 16)
    except (ValueError, TypeError) as error:
        raise Unavailable(f"the RPC answered {str(result)[:80]!r} where a number belongs") from error


def hex_bytes(result: Any) -> bytes:
    """The bytes in a result such as "0x00ff". Raises Unavailable when it holds none."""
    try:
        return bytes.fromhex(result.removeprefix("0x"))
    except (ValueError, AttributeError) as error:
        raise Unavailable(f"the RPC answered {str(result)[:80]!r} where bytes belong") from error


def fields(result: Any, *names: str) -> list[Any]:
    """Values of these names in a result that is an object. Raises Unavailable when one is missing."""
    if not isinstance(result, dict) or any(result.get(name) is None for name in names):
        raise Unavailable(f"the RPC answered {str(result)[:80]!r} where an object with {', '.join(names)} belongs")
    return [result[name] for name in names]


def _result(answer: dict[str, Any]) -> Any:
    error = answer.get("error")
    if error is None:
        return answer.get("result")
    code, message, revert = int(error.get("code", 0)), str(error.get("message", ""))[:300], error.get("data")
    if code in _BUSY_CODES:
        raise Unavailable(message)
    if isinstance(revert, str) and revert.startswith("0x"):
        raise contract_error(bytes.fromhex(revert[2:]), message)
    if code == _REVERT_CODE or "execution reverted" in message.lower():
        raise contract_error(b"", message)
    raise RpcRefused(code, message)


def _shown(url: str) -> str:
    """The URL without user, password, path and query: keys of RPC providers stand there."""
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.host}" + (f":{parsed.port}" if parsed.port else "")
