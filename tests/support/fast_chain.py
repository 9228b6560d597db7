"""A JSON-RPC endpoint whose coordinator begins a new round whenever it is asked, so that a worker never waits.

With `pace` a round lasts that many seconds.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eth_abi.abi import decode, encode

from swarm_chain.abi import selector
from swarm_chain.settings import DEFAULT_CHAIN_ID

COORDINATOR = "0x" + "ab" * 20
_HASH = "0x" + "01" * 32


class FastChain:
    """Serves on a free port of 127.0.0.1 while it is entered."""

    def __init__(self, pace: float = 0.0) -> None:
        self.round = -1
        self._pace = pace
        self._began = time.monotonic()
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"chain": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FastChain:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def answer(self, method: str, params: list[Any]) -> Any:
        """The result of one call."""
        if method == "eth_chainId":
            return hex(DEFAULT_CHAIN_ID)
        if method == "eth_getBlockByNumber":
            return {"number": "0x0", "hash": _HASH, "baseFeePerGas": "0x0"}
        if method == "eth_getCode":
            return "0x00"
        if method == "eth_blockNumber":
            return "0x1"
        if method == "eth_call":
            return "0x" + self._view(bytes.fromhex(params[0]["data"][2:])).hex()
        return None

    def _view(self, data: bytes) -> bytes:
        if data[:4] == selector("currentRound()"):
            with self._lock:
                self.round = int((time.monotonic() - self._began) / self._pace) if self._pace else self.round + 1
                return encode(["uint256"], [self.round])
        if data[:4] == selector("getBootnodes()"):
            return encode(["string[]"], [[]])
        if data[:4] == selector("getEoa(string[])"):
            asked = decode(["string[]"], data[4:])[0]
            return encode(["address[]"], [["0x" + "00" * 20] * len(asked)])
        return encode(["uint256"], [0])


class _Handler(BaseHTTPRequestHandler):
    chain: FastChain
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        many = asked if isinstance(asked, list) else [asked]
        answers = [
            {"jsonrpc": "2.0", "id": call["id"], "result": self.chain.answer(call["method"], call.get("params", []))}
            for call in many
        ]
        body = json.dumps(answers if isinstance(asked, list) else answers[0]).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass
