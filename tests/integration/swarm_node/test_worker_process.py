"""The worker as a process: trains by its own clock, tells so on its socket, ends and resumes, refuses bad settings.

Real `swarm-node` on the embedded model; a stand-in for the daemon on a real socket; no login service, and no chain
but where a test is about it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.chains import LocalChain
from tests.support.stub_daemon import PEER, StubDaemon

from swarm_core.records import GroupBatch

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.timeout(300)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("node", timeout=5.0)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Node:
    """A `swarm-node` below `directory`; can be killed and started again."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.run_dir, self.state_dir = directory / "run", directory / "state"
        for path in (self.run_dir, self.state_dir):
            path.mkdir(exist_ok=True)
        self.log = directory / "log.txt"
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("services", "node")),
            "OMP_NUM_THREADS": "1",
            "SWARM_RUN_DIR": str(self.run_dir),
            "SWARM_STATE_DIR": str(self.state_dir),
            "SWARM_RPC_URL": "http://127.0.0.1:9",  # nobody listens there
            "SWARM_DEPLOYMENT_FILE": str(directory / "none.json"),
            "SWARM_LOGIN_URL": "http://127.0.0.1:9",
            "SWARM_API_TOKEN_FILE": str(directory / "token"),
            "SWARM_DEVICE": "cpu",
            "SWARM_EVAL_STEPS": "0",
            "SWARM_EXCHANGE_SECONDS": "1",
            **settings,
        }
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with self.log.open("a") as log:
            command = [sys.executable, "-m", "swarm_node.main"]
            self.process = subprocess.Popen(command, env=self._environment, stderr=log, cwd=ROOT, text=True)

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(timeout=40)

    def get(self, path: str) -> Any:
        """The JSON or text of a 200. Raises OSError while nobody answers."""
        connection = _UnixConnection(self.run_dir / "node.sock")
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            return json.loads(body) if "json" in str(answer.headers["content-type"]) else body.decode()
        finally:
            connection.close()

    def wait(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 120.0) -> dict[str, Any]:
        """The first status that meets `condition`."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                status: dict[str, Any] = self.get("/v1/status")
                if condition(status):
                    return status
            except (OSError, http.client.HTTPException):
                status = {}
            assert time.monotonic() < deadline, (status, self.log.read_text()[-3000:])
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            time.sleep(0.1)  # between two polls with a deadline


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """A worker that is not started yet."""
    node = Node(tmp_path)
    yield node
    if node.process is not None and node.process.poll() is None:
        node.process.kill()
        node.process.wait(timeout=20)


def rounds_done(count: int) -> Callable[[dict[str, Any]], bool]:
    return lambda status: status["rounds"].get("ok", 0) >= count


def test_it_trains_alone_and_resumes_where_it_was(node: Node) -> None:
    with StubDaemon(node.run_dir / "dht.sock", state="isolated", peers=0) as daemon:
        node.start()
        status = node.wait(rounds_done(2))
        # no chain, no login service, no other peer: it trains and says what is missing
        assert (status["peer_id"], status["state"], status["dht_state"]) == (PEER, "isolated", "isolated")
        assert (status["chain_reachable"], status["login_reachable"]) == (False, False)
        assert (status["model"], status["device"], status["resumed_from"]) == ("embedded", "cpu", None)
        assert status["reward_pending"] > 0
        assert status["memory_rss"] < 900 * 2**20
        history = node.get("/v1/history?limit=10")
        assert [record["training_round"] for record in history] == list(range(len(history)))
        assert all(record["result"] == "ok" and record["chain_round"] is None for record in history)
        assert "rlswarm_worker_optimizer_step" in node.get("/metrics")
        assert node.get("/v1/live")
        # what it says it published is what the daemon got
        batches = {batch.round: batch for batch in map(GroupBatch.decode, daemon.published)}
        for record in history:
            assert record["published"] == [group.digest() for group in batches[record["training_round"]].groups]

        before = node.get("/v1/status")
        assert node.end(signal.SIGKILL) == -signal.SIGKILL
        node.start()
        after = node.wait(rounds_done(1))
        assert after["instance"] != before["instance"]
        assert after["resumed_from"] >= before["optimizer_step"] - 1  # one round may be lost
        assert after["optimizer_step"] >= before["optimizer_step"]
        assert after["reward_pending"] >= before["reward_pending"]

        last = node.get("/v1/status")
        assert node.end(signal.SIGTERM) == 0
        node.start()
        assert node.wait(lambda status: status["resumed_from"] is not None)["resumed_from"] >= last["optimizer_step"]
        assert node.end(signal.SIGTERM) == 0
    assert "Traceback" not in node.log.read_text()


def refused(node: Node) -> tuple[int, list[str]]:
    """Exit code and log of a worker that must not start."""
    node.start()
    assert node.process is not None
    code = node.process.wait(timeout=100)
    return code, node.log.read_text().splitlines()


BAD_SETTINGS = {
    "not a number": ({"SWARM_NUM_GENERATIONS": "abc"}, "SWARM_NUM_GENERATIONS"),
    "unknown name": ({"SWARM_FOO": "1"}, "SWARM_FOO is not a known setting"),
    "directory that cannot be written": ({"SWARM_STATE_DIR": "/proc/state"}, "/proc/state cannot be written"),
    "contradiction": ({"SWARM_EPSILON": "0.5", "SWARM_EPSILON_HIGH": "0.1"}, "epsilon_high"),
    "model that is not there": ({"SWARM_MODEL": "/nowhere/model"}, "/nowhere/model"),
    "task set that is not there": ({"SWARM_TASKS": "/nowhere/tasks.yaml"}, "/nowhere/tasks.yaml"),
}


@pytest.mark.parametrize(("settings", "words"), BAD_SETTINGS.values(), ids=BAD_SETTINGS.keys())
def test_bad_settings_end_in_one_sentence(tmp_path: Path, settings: dict[str, str], words: str) -> None:
    code, log = refused(Node(tmp_path, **settings))
    errors = [line for line in log if " error " in line]
    assert code == 78, log
    assert len(errors) == 1, log
    assert words in errors[0]
    assert "Remedy:" in errors[0]
    assert not any("Traceback" in line or "round done" in line for line in log)
    assert not (tmp_path / "state" / "checkpoints").exists()


def test_a_damaged_ledger_is_not_overwritten(node: Node) -> None:
    book = node.state_dir / "ledger.json"
    book.write_text("{")
    code, log = refused(node)
    assert code == 78
    assert str(book) in log[-1]
    assert book.read_text() == "{"


@pytest.mark.parametrize(
    ("address", "words"),
    [("0x" + "11" * 20, f"no contract at 0x{'11' * 20}"), ("not an address", "40 hexadecimal digits")],
)
def test_a_wrong_contract_address(tmp_path: Path, chain: LocalChain, address: str, words: str) -> None:
    code, log = refused(Node(tmp_path, SWARM_RPC_URL=chain.rpc_url, SWARM_COORDINATOR=address))
    assert code != 0, log
    (line,) = [line for line in log if " error " in line]
    assert words in line
    assert "SWARM_COORDINATOR" in line  # what to correct
    assert not any("Traceback" in line or "round done" in line for line in log)


def test_it_follows_a_real_chain(tmp_path: Path, chain: LocalChain) -> None:
    node = Node(tmp_path, SWARM_RPC_URL=chain.rpc_url, SWARM_DEPLOYMENT_FILE=str(chain.deployment_file))
    with StubDaemon(node.run_dir / "dht.sock"):
        node.start()
        try:
            status = node.wait(rounds_done(1))
            assert (status["chain_reachable"], status["chain_round"], status["rounds_behind"]) == (True, 0, 0)
            # the report of that round waits for a login service
            book = json.loads((node.state_dir / "ledger.json").read_text())
            assert [report["round"] for report in book["outgoing"]] == [0]
            assert book["outgoing"][0]["winners"] == [PEER]
            chain.anvil.stop(kill=True)
            status = node.wait(rounds_done(2))
            assert status["chain_reachable"] is False
        finally:
            assert node.end(signal.SIGTERM) == 0
