"""Proves: a worker whose container gets too little memory is killed by the kernel, starts again with smaller rounds,
and loses none that it had finished. One container of the real image with a stand-in for the daemon, and no chain."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from tests.e2e.stack import LIGHT_IMAGE, TAG, wait_until
from tests.support.small_llama import make_llama
from tests.support.stub_daemon import StubDaemon

ROOMY, TIGHT = 3 * 1024**3, 3 * 2**29  # bytes; a round takes about 2 GB
READY = b"ready to train"
ROUNDS_BEFORE, ROUNDS_AFTER = 2, 2
SECONDS = 240.0
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def node(images: None, tmp_path: Path) -> Iterator[tuple[Container, Path]]:
    """A training worker, and the directory of its state."""
    given, state, run = tmp_path / "given", tmp_path / "state", tmp_path / "run"
    for path in (given, state, run):
        path.mkdir()
        path.chmod(0o777)  # the container's user is another one
    make_llama(given / "model", hidden=512, intermediate=1024, layers=8, heads=8)
    for path in (given / "model").iterdir():
        path.chmod(0o644)
    shutil.copy(Path(__file__).parent / "data" / "all_different.py", given)
    (given / "tasks.yaml").write_text("datasets:\n  - {name: all_different, weight: 1}\n")
    client = docker.from_env()
    container = client.containers.run(
        f"rl-swarm/swarm:{TAG}",
        ["python", "/given/all_different.py"],
        detach=True,
        network_mode="none",
        mem_limit=ROOMY,
        memswap_limit=ROOMY,
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 10},
        volumes={
            str(given): {"bind": "/given", "mode": "ro"},
            str(state): {"bind": "/state", "mode": "rw"},
            str(run): {"bind": "/run/swarm", "mode": "rw"},
        },
        environment={
            "SWARM_TASKS": "/given/tasks.yaml",
            "SWARM_MODEL": "/given/model",
            "SWARM_RPC_URL": "http://127.0.0.1:9",  # nobody listens there: rounds by the node's own clock
            "SWARM_DEPLOYMENT_FILE": "/state/none.json",
            "SWARM_LOGIN_URL": "http://127.0.0.1:9",
            "SWARM_API_TOKEN_FILE": "/state/none",
            "SWARM_DEVICE": "cpu",
            "SWARM_NUM_QUESTIONS": "2",
            "SWARM_NUM_GENERATIONS": "8",
            "SWARM_NUM_EXTERNAL": "0",
            "SWARM_MAX_COMPLETION_LENGTH": "128",
            "SWARM_EVAL_STEPS": "0",
            "SWARM_EXCHANGE_SECONDS": "1",
        },
    )
    try:
        with StubDaemon(run / "dht.sock", state="isolated", peers=0) as daemon:
            daemon.path.chmod(0o777)
            yield container, state
    finally:
        container.remove(force=True)
        # what the container's user wrote, this one may not be allowed to remove
        client.containers.run(
            LIGHT_IMAGE, ["rm", "-rf", "--", *(f"/state/{path.name}" for path in state.iterdir())], user="0",
            volumes={str(state): {"bind": "/state", "mode": "rw"}}, remove=True, network_mode="none",
        )  # fmt: skip


def done(state: Path) -> list[dict[str, Any]]:
    """The finished rounds."""
    history = state / "history.jsonl"
    lines = history.read_text().splitlines() if history.exists() else []
    return [record for record in map(json.loads, lines) if record["result"] == "ok"]


def test_too_little_memory_makes_rounds_smaller(node: tuple[Container, Path]) -> None:
    container, state = node
    wait_until("the first rounds", SECONDS, lambda: len(done(state)) >= ROUNDS_BEFORE)
    before = json.loads((state / "memory.json").read_text())
    assert before["steps"] == 0
    container.restart(timeout=60)
    # once the sizes are chosen and before they are needed: that is how an estimate goes wrong
    wait_until("the second start", SECONDS, lambda: container.logs().count(READY) == 2)
    container.update(mem_limit=TIGHT, memswap_limit=TIGHT)
    rounds = len(done(state))

    def smaller_and_going_on() -> bool:
        container.reload()
        assert container.attrs["RestartCount"] < 10, container.logs(tail=30).decode()
        kept = json.loads((state / "memory.json").read_text())
        return bool(kept["steps"]) and len(done(state)) >= rounds + ROUNDS_AFTER

    wait_until("killed, smaller rounds, going on", SECONDS, smaller_and_going_on)
    kept, log = json.loads((state / "memory.json").read_text()), container.logs().decode()
    restarts = container.attrs["RestartCount"]
    sizes = {name: (before[name], kept[name]) for name in ("micro_batch_tokens", "groups")}
    print(f"largest {before['largest'] / 1e6:.0f} MB, limit {TIGHT / 1e6:.0f} MB, restarts {restarts}, {sizes}")
    assert restarts >= 1
    assert "out of memory, one step down" in log
    assert any(now < then for then, now in sizes.values())
    numbers = [record["training_round"] for record in done(state)]
    assert numbers == sorted(set(numbers)) == list(range(numbers[0], numbers[-1] + 1)), "no finished round was lost"
