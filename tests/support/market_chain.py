"""JSON-RPC to the chain under the market's state machine: calls, transactions, the clock."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import httpx

from swarm_chain import abi

GAS = hex(3_000_000)


class Chain:
    """JSON-RPC to an anvil that signs for everybody."""

    def __init__(self, url: str, market: str, master: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30.0, trust_env=False)
        self.market, self.master = market, master
        self.rpc("anvil_autoImpersonateAccount", True)
        self.rpc("anvil_setBlockTimestampInterval", 1)
        self.actions = 0
        self.now = 0
        self.outcomes: Counter[str] = Counter()

    def rpc(self, method: str, *params: Any) -> Any:
        """One request; the error object when it failed."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer = self._http.post("/", json=body).json()
        return answer.get("result", answer.get("error"))

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def look_at_clock(self) -> int:
        """Remember the time of the latest block."""
        self.now = int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
        return self.now

    def error(self, account: str, data: bytes) -> str | None:
        """The name of the error that a call reverts with, None when it passes."""
        # without the time of the chain a call would run at the time of the machine
        call = {"from": account, "to": self.market, "data": "0x" + data.hex()}
        answer = self.rpc("eth_call", call, "latest", {}, {"time": hex(self.now)})
        if not isinstance(answer, dict):
            return None
        raw = str(answer.get("data", ""))
        return abi.error_name(raw) or raw or str(answer)

    def send(self, account: str, data: bytes) -> None:
        """Mine a transaction, which must pass."""
        call = {"from": account, "to": self.market, "data": "0x" + data.hex(), "gas": GAS, "gasPrice": "0x0"}
        found = self.rpc("eth_sendTransaction", call)
        assert isinstance(found, str), found
        end = time.monotonic() + 20
        while (receipt := self.rpc("eth_getTransactionReceipt", found)) is None:  # anvil answers before it mines
            assert time.monotonic() < end, found
        assert int(receipt["status"], 16) == 1, found

    def read(self, signature: str, *arguments: Any) -> Any:
        """The result of a view."""
        data = "0x" + abi.encode_call(signature, *arguments).hex()
        answer = self.rpc("eth_call", {"to": self.market, "data": data}, "latest", {}, {"time": hex(self.now)})
        result = abi.decode_result(signature, bytes.fromhex(answer[2:]))
        return result[0] if len(result) == 1 else result
