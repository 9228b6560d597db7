"""A real worker follows the choices of the page: between two rounds, in the same process, without losing one."""

from __future__ import annotations

import http.server
import json
import shutil
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.swarm_node.test_worker_process import Node, rounds_done
from tests.support.stub_daemon import StubDaemon

from swarm_core.choices import NodeChoices
from swarm_node.models import embedded_directory

TOKEN = "worker-api-token-of-this-test"


class LoginStub:
    """Answers `GET /api/node-settings` with `choices`."""

    def __init__(self) -> None:
        self.choices = NodeChoices()
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                known = self.path == "/api/node-settings" and self.headers["authorization"] == f"Bearer {TOKEN}"
                body = stub.choices.model_dump_json().encode() if known else b"{}"
                self.send_response(200 if known else 401)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()


@pytest.fixture
def login() -> Iterator[LoginStub]:
    stub = LoginStub()
    yield stub
    stub.server.shutdown()
    stub.server.server_close()


def test_a_change_takes_effect_between_two_rounds_and_a_bad_choice_stops_nothing(
    tmp_path: Path, login: LoginStub
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(embedded_directory(), mine)
    (tmp_path / "token").write_text(TOKEN)
    node = Node(tmp_path, SWARM_LOGIN_URL=login.url)
    with StubDaemon(node.run_dir / "dht.sock"):
        node.start()
        assert node.process is not None
        try:
            before = node.wait(rounds_done(2))
            login.choices = NodeChoices(revision=1, model=str(mine))
            after = node.wait(lambda status: status["model"] == str(mine) and status["rounds"].get("ok", 0) >= 1)
            assert after["choices_revision"] == 1
            assert after["instance"] != before["instance"]
            assert after["reward_pending"] >= before["reward_pending"], "what was earned is still there"

            login.choices = NodeChoices(revision=2, model="/nowhere/model")
            fallen = node.wait(lambda status: status["choices_revision"] == 2 and status["rounds"].get("ok", 0) >= 1)
            assert fallen["model"] == "embedded"
            assert "/nowhere/model" in fallen["choice_error"]
            assert fallen["resumed_from"] is not None, "the embedded model goes on where it was"
            history = node.get("/v1/history?limit=500")
            assert {record["result"] for record in history} == {"ok"}, "no round failed or was cut off"
            numbers = [record["training_round"] for record in history]
            starts = [i for i, number in enumerate(numbers) if i == 0 or number != numbers[i - 1] + 1]
            assert len(starts) == 3, numbers
            assert numbers[starts[2]] == numbers[starts[1] - 1] + 1, "the first model's rounds go on without a gap"
        finally:
            assert node.end(signal.SIGTERM) == 0
    assert "Traceback" not in node.log.read_text()
    told = json.loads((node.state_dir / "choices.json").read_text())
    assert told["revision"] == 2
