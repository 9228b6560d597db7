"""The real exporter process between real sockets, a real chain and a real Prometheus.

Proves that it tells what the host's processes and the contract say, that no dead source fails or delays a scrape, that
every query of every dashboard has data, and what the exporter costs.
"""

import asyncio
import contextlib
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.dashboards import without_data
from tests.support.exporter_host import (
    CHAIN_ID,
    PROMETHEUS_IMAGE,
    ROOT,
    Exporter,
    anvil,
    exporter,
    prometheus,
    serving,
    status_app,
    until,
)
from tests.support.ports import free_port
from tests.support.statuses import MAIN_PEER, OTHER_PEER, dht_status, login_status, node_status, round_record

from swarm_chain import calls
from swarm_chain.client import ChainClient
from swarm_chain.deploy import DeploySettings, deploy
from swarm_chain.wallet import Wallet
from swarm_core.status import NodeStatus
from swarm_node.board import Board

DASHBOARD = ROOT / "monitoring" / "grafana" / "dashboards" / "rl-swarm.json"
REWARD = 117


@dataclass(frozen=True)
class Chain:
    """A chain on which MAIN_PEER is registered, has REWARD and one vote for itself; OTHER_PEER is unknown."""

    rpc_url: str
    deployment_file: Path

    def environment(self) -> dict[str, str]:
        return {
            "SWARM_RPC_URL": self.rpc_url,
            "SWARM_CHAIN_ID": str(CHAIN_ID),
            "SWARM_DEPLOYMENT_FILE": str(self.deployment_file),
        }


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    directory = tmp_path_factory.mktemp("chain")
    for name in ("keys", "judge-keys"):
        (directory / name).mkdir()
    with anvil() as rpc_url:
        settings = DeploySettings(
            rpc_url=rpc_url,
            chain_id=CHAIN_ID,
            deployment_file=directory / "deployment.json",
            role_keys_dir=directory / "keys",
            judge_keys_dir=directory / "judge-keys",
        )
        asyncio.run(_prepare(settings))
        yield Chain(rpc_url, settings.deployment_file)


async def _prepare(settings: DeploySettings) -> None:
    await deploy(settings, rpc_wait_seconds=30)
    client = ChainClient(settings)
    try:
        wallet = Wallet(client, secrets.token_bytes(32))
        await wallet.send(calls.register_peer(MAIN_PEER))
        await wallet.send(calls.submit_reward(0, 0, REWARD, MAIN_PEER))
        await wallet.send(calls.submit_winners(0, [MAIN_PEER], MAIN_PEER))
    finally:
        await client.close()


class Host:
    """The sockets of a host with a main node and one extra peer; each can be taken away."""

    def __init__(self, directory: Path) -> None:
        self.run_dir = directory / "run"
        self.login_run_dir = directory / "login"
        self._open: dict[str, contextlib.ExitStack] = {}

    def environment(self) -> dict[str, str]:
        return {"SWARM_RUN_DIR": str(self.run_dir), "SWARM_LOGIN_RUN_DIR": str(self.login_run_dir)}

    def start(self) -> None:
        peer = self.run_dir / "peers" / "1"
        for name, directory, status in (
            ("main", self.run_dir, node_status()),
            ("peer-1", peer, node_status(OTHER_PEER, "peer-1")),
        ):
            self._serve(f"{name} worker", directory / "node.sock", _board(status).app())
            self._serve(f"{name} dht", directory / "dht.sock", status_app({"/v1/status": dht_status(status.peer_id)}))
        self._serve("login", self.login_run_dir / "login.sock", status_app({"/v1/status": login_status()}))

    def kill(self, name: str) -> None:
        self._open.pop(name).close()

    def stop(self) -> None:
        for name in list(self._open):
            self.kill(name)

    def _serve(self, name: str, path: Path, app: object) -> None:
        stack = contextlib.ExitStack()
        stack.enter_context(serving(path, app))  # type: ignore[arg-type]
        self._open[name] = stack


def _board(status: NodeStatus) -> Board:
    board = Board(status)
    board.finish(round_record())
    return board


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    started = Host(tmp_path)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def running(tmp_path: Path, host: Host, chain: Chain) -> Iterator[Exporter]:
    with exporter(tmp_path, {**host.environment(), **chain.environment()}) as started:
        yield started


def _value(text: str, name: str, **labels: str) -> float | None:
    return next(
        (
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        ),
        None,
    )


def _up(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.labels["node"], sample.labels["component"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "rlswarm_component_up"
    }


def test_it_tells_what_sockets_and_contract_say(running: Exporter) -> None:
    text = running.metrics()
    components = [("main", name) for name in ("worker", "dht", "login", "chain")]
    assert _up(text) == dict.fromkeys([*components, ("peer-1", "worker"), ("peer-1", "dht")], 1.0)
    for collector in ("worker", "dht", "login", "chain"):
        assert _value(text, "rlswarm_collector_success", collector=collector) == 1
    assert _value(text, "rlswarm_peer_rewards", node="main", peer_id=MAIN_PEER) == REWARD
    assert _value(text, "gensyn_rewards", node="main", peer_id=MAIN_PEER) == REWARD
    assert _value(text, "gensyn_wins", node="main", peer_id=MAIN_PEER) == 1
    assert _value(text, "gensyn_votes", node="main", peer_id=MAIN_PEER) == 1
    assert _value(text, "rlswarm_peer_registered", node="peer-1", peer_id=OTHER_PEER) == 0
    assert _value(text, "rlswarm_optimizer_step", node="peer-1") == 39
    assert _value(text, "rlswarm_train_loss", node="main") == -0.125


def test_every_dashboard_query_has_data_on_a_real_prometheus(running: Exporter, tmp_path: Path) -> None:
    with prometheus(tmp_path, f"127.0.0.1:{running.port}") as address:
        until(lambda: not without_data(address, DASHBOARD, minutes=2), 60, "data for every query")
        assert without_data(address, DASHBOARD, minutes=2) == []


def test_a_query_without_data_is_found(running: Exporter, tmp_path: Path) -> None:
    dashboard = tmp_path / "dashboard.json"
    dashboard.write_text(DASHBOARD.read_text().replace("rlswarm_dht_peers", "rlswarm_dht_peer"))
    with prometheus(tmp_path, f"127.0.0.1:{running.port}") as address:
        until(lambda: len(without_data(address, dashboard, minutes=2)) == 1, 60, "one query without data")
        assert [query.panel for query in without_data(address, dashboard, minutes=2)] == ["Peers"]


def test_dead_sources_neither_fail_nor_delay_a_scrape(running: Exporter, host: Host) -> None:
    assert _up(running.metrics())["main", "worker"] == 1
    for name in ("main worker", "peer-1 dht", "login"):
        host.kill(name)
    for _ in range(3):
        start = time.monotonic()
        up = _up(running.metrics())
        assert time.monotonic() - start < 4
        assert up["main", "worker"] == up["peer-1", "dht"] == up["main", "login"] == 0
        assert up["main", "dht"] == up["peer-1", "worker"] == up["main", "chain"] == 1
    losses = [line for line in running.lines() if line["event"] == "source does not answer"]
    assert len(losses) == 3
    assert not any("exception" in line for line in running.lines())


def test_alone_it_answers_and_says_that_nothing_is_there(tmp_path: Path) -> None:
    environment = {
        "SWARM_RUN_DIR": str(tmp_path / "run"),
        "SWARM_LOGIN_RUN_DIR": str(tmp_path / "login"),
        "SWARM_RPC_URL": f"http://127.0.0.1:{free_port()}",
        "SWARM_DEPLOYMENT_FILE": str(tmp_path / "absent.json"),
    }
    with exporter(tmp_path, environment) as alone:
        assert _up(alone.metrics()) == dict.fromkeys(
            [("main", "worker"), ("main", "dht"), ("main", "login"), ("main", "chain")], 0.0
        )
        assert alone.stop() == 0
        assert not any("exception" in line for line in alone.lines())


def test_a_taken_port_is_one_sentence_with_its_setting(tmp_path: Path, running: Exporter) -> None:
    second = Exporter(tmp_path / "run", {}, port=running.port)
    assert second.process.wait(30) == 1
    (line,) = [line for line in second.lines() if line["level"] == "error"]
    assert "SWARM_EXPORTER_PORT" in line["event"]


def test_memory_and_idle_cpu(running: Exporter) -> None:
    for _ in range(20):
        running.metrics()
    assert running.rss_bytes() < 150 * 2**20
    before, seconds = running.cpu_seconds(), 5.0
    time.sleep(seconds)  # the measurement itself
    assert running.cpu_seconds() - before <= 0.01 * seconds


def test_promtool_accepts_the_configuration() -> None:
    mount = f"{ROOT / 'monitoring' / 'prometheus'}:/config:ro"
    command = ["docker", "run", "--rm", "-v", mount, "--entrypoint", "promtool", PROMETHEUS_IMAGE]
    check = subprocess.run(
        [*command, "check", "config", "/config/prometheus.yml"], capture_output=True, text=True, timeout=60, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr
