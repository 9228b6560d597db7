"""A real judge process on a test chain, peers with keys, and a signing client."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric import ed25519
from tests.support.chains import LocalChain
from tests.support.ports import free_port

from swarm_chain import calls
from swarm_chain.deployment import read_deployment
from swarm_chain.wallet import Wallet
from swarm_core.identity import PeerKey, judge_message, parse_key
from swarm_core.judge_wire import audience, request_digest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ":".join(str(ROOT / name) for name in ("services", "node", "login-proxy", "monitoring"))
START_SECONDS = 60.0


def make_key() -> PeerKey:
    """A new peer key (Ed25519, made in no time)."""
    seed = ed25519.Ed25519PrivateKey.generate().private_bytes_raw()
    public = ed25519.Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    return parse_key(b"\x08\x01\x12\x40" + seed + public)


class JudgeProcess:
    """`swarm-judge` as a child process; can be killed and started again on the same state."""

    def __init__(self, chain: LocalChain, state: Path, **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.chain = chain
        state.mkdir(exist_ok=True)
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": SOURCES,
            "SWARM_RPC_URL": chain.rpc_url,
            "SWARM_DEPLOYMENT_FILE": str(chain.deployment_file),
            "SWARM_JUDGE_KEYS_DIR": str(chain.settings.judge_keys_dir),
            "SWARM_JUDGE_HOST": "127.0.0.1",
            "SWARM_JUDGE_PORT": str(self.port),
            "SWARM_JUDGE_STATE_DIR": str(state),
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self, *, wait: bool = True) -> None:
        """Start (again) and wait until it serves."""
        command = [sys.executable, "-c", "from swarm_judge.main import main; main()"]
        self.process = subprocess.Popen(command, env=self._environment)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Poll until it serves."""
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                self.get("/healthz")
                return
            except httpx.HTTPError:
                if time.monotonic() > end or self.process is None or self.process.poll() is not None:
                    raise
                time.sleep(0.1)  # between two polls with a deadline

    def stop(self, *, kill: bool = False) -> int:
        """End it; its exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        code = self.process.wait(timeout=20)
        self.process = None
        return code

    def get(self, path: str) -> Any:
        """JSON of a GET; raises httpx.HTTPError for everything but 200."""
        answer = httpx.get(self.url + path, timeout=10.0, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def post(self, path: str, body: Any) -> httpx.Response:
        """The answer to a POST."""
        return httpx.post(self.url + path, json=body, timeout=30.0, trust_env=False)

    def ask(self, key: PeerKey, round_number: int = 0, model: str = "m", **changes: Any) -> httpx.Response:
        """A signed request for a question; `changes` replace fields of the proof."""
        body = {"user_id": key.peer_id, "round_number": round_number, "model_name": model}
        return self.post("/request-question/", {**body, "proof": self.proof(key, round_number, model, **changes)})

    def proof(self, key: PeerKey, round_number: int, model: str, **changes: Any) -> dict[str, Any]:
        """What a peer signs."""
        deployment = read_deployment(self.chain.deployment_file)
        issued_at, nonce = changes.get("issued_at", int(time.time())), changes.get("nonce", secrets.token_hex(16))
        to = changes.get("audience", audience(deployment.chain_id, deployment.coordinator))
        message = judge_message(key.peer_id, to, request_digest(key.peer_id, round_number, model), issued_at, nonce)
        return {
            "public_key": base64.b64encode(key.public).decode(),
            "signature": base64.b64encode(key.sign(message)).decode(),
            "issued_at": issued_at,
            "nonce": nonce,
        }

    def answer(self, session_id: str, answer: str) -> httpx.Response:
        """Submit an answer."""
        return self.post("/submit-answer/", {"session_id": session_id, "round_number": 0, "user_answer": answer})


async def register(chain: LocalChain, count: int, account: int = 91) -> list[PeerKey]:
    """New peers that the contract knows."""
    keys = [make_key() for _ in range(count)]
    async with chain.client() as client:
        wallet = Wallet(client, bytes([account] * 32))
        for key in keys:
            await wallet.send(calls.register_peer(key.peer_id))
    return keys
