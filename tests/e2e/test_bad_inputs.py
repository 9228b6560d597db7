"""What an operator can get wrong ends in one clear sentence with the remedy and a non-zero exit, before any training,
and nothing is overwritten."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import Stack

CONFIG = 78
GARBAGE = "not a key"


@pytest.fixture
def dotenv(clone: Path) -> Iterator[Path]:
    """The operator's .env, removed after the test."""
    path = clone / ".env"
    assert not path.exists()
    yield path
    path.unlink(missing_ok=True)


def sentences(log: str) -> list[str]:
    """The error lines of a log, and the assertion that nothing else but log lines is in it."""
    assert "Traceback" not in log, log
    return [line for line in log.splitlines() if " error " in line]


def refused_at_start(stack: Stack, gate: str, exit_code: int = CONFIG) -> str:
    """`up` fails because of the one-shot service `gate`, no worker ever starts; the gate's one sentence."""
    code, output = stack.try_compose("up", "--detach", "--wait", "--no-build", seconds=120)
    assert code != 0, output
    assert stack.container(gate).attrs["State"]["ExitCode"] == exit_code
    assert {"node", "peer", "login-proxy", "round-keeper"}.isdisjoint(stack.services())
    found = sentences(stack.logs(gate))
    assert len(found) == 1, found
    return found[0]


def refused_by(stack: Stack, service: str, *options: str) -> str:
    """The process of `service` alone ends with a configuration error; its one sentence."""
    code, output = stack.try_compose("run", "--rm", "--no-deps", "-T", *options, service, seconds=120)
    assert code == CONFIG, output
    found = sentences(output)
    assert len(found) == 1, found
    assert "round done" not in output
    return found[0]


def test_a_value_that_does_not_parse(bare: Stack) -> None:
    bare.settings["SWARM_ROUND_SECONDS"] = "abc"
    sentence = refused_at_start(bare, "check")
    assert "SWARM_ROUND_SECONDS" in sentence
    assert "'abc'" in sentence
    assert ".env" in sentence


def test_an_unknown_name_in_dotenv(bare: Stack, dotenv: Path) -> None:
    dotenv.write_text("SWARM_FOO=1\n")
    sentence = refused_at_start(bare, "check")
    assert "SWARM_FOO is not a known setting" in sentence
    assert ".env" in sentence


def test_a_contract_that_is_not_there(bare: Stack) -> None:
    wrong = "0x" + "dead" * 10
    bare.settings["SWARM_COORDINATOR"] = wrong
    sentence = refused_at_start(bare, "deployer")
    assert wrong in sentence.lower()
    assert "SWARM_COORDINATOR" in sentence


def test_a_volume_that_cannot_be_written(bare: Stack, tmp_path: Path) -> None:
    sentence = refused_by(bare, "node", "-v", f"{tmp_path}/state:/state")
    assert "/state cannot be written by uid 1000" in sentence


def test_a_model_path_that_does_not_exist(bare: Stack) -> None:
    sentence = refused_by(bare, "node", "-e", "SWARM_MODEL=/models/nothing-here")
    assert "/models/nothing-here" in sentence
    assert "SWARM_MODEL" in sentence


def test_a_corrupt_key_is_never_replaced(bare: Stack) -> None:
    keys = f"{bare.project}_keys"
    bare.compose("run", "--rm", "--no-deps", "-T", "dht", "sh", "-c", f"echo '{GARBAGE}' > /keys/peer/swarm.pem")
    code, output = bare.try_compose("run", "--rm", "--no-deps", "-T", "dht", seconds=60)
    assert code not in (0, 137), output
    found = sentences(output)
    assert len(found) == 1, output
    assert "/keys/peer/swarm.pem" in found[0]
    kept = bare.compose("run", "--rm", "--no-deps", "-T", "dht", "cat", "/keys/peer/swarm.pem")
    assert kept.strip().splitlines()[-1] == GARBAGE
    assert bare.docker.volumes.get(keys)


def test_make_up_names_the_variable_of_a_port_in_use(bare: Stack) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        environment = bare.environment(SWARM_LOGIN_PUBLISHED_PORT=port, COMPOSE_PROJECT_NAME=bare.project)
        ended = subprocess.run(
            ["make", "up"], cwd=bare.clone, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert ended.returncode != 0
    assert (
        f"Port {port}/tcp on 127.0.0.1 is in use: stop what uses it or set SWARM_LOGIN_PUBLISHED_PORT." in ended.stderr
    )
    assert bare.services() == [], "Compose was not even asked"
