"""Given nothing but join.env, another installation joins the host's swarm over real processes: its daemon exchanges
groups with the host's, its login service registers the peer and its reward is on the host's chain, by the gateway."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
from tests.support.chains import LocalChain
from tests.support.daemons import ROOT, Daemon, daemons_below, group, poll
from tests.support.login_service import Login
from tests.support.ports import free_port

from swarm_chain.client import ChainClient
from swarm_chain.settings import ChainSettings

_SOURCES = ("services", "node", "login-proxy", "monitoring")
_NAME = "host.test"  # where the tests run there is no name and perhaps no address but loopback


def _environment(**settings: object) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SWARM_")}
    kept["PYTHONPATH"] = os.pathsep.join(str(ROOT / source) for source in _SOURCES)
    return kept | {f"SWARM_{name}": str(value) for name, value in settings.items()}


@contextlib.contextmanager
def gateway(chain: LocalChain, directory: Path) -> Iterator[int]:
    """The gateway as a process; its port."""
    port = free_port()
    settings = _environment(RPC_URL=chain.rpc_url, GATEWAY_PORT=port, DEPLOYMENT_FILE=chain.deployment_file)
    with (directory / "gateway.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "swarm_gateway.main"], env=settings, stderr=log, stdout=log)
        try:

            def up() -> bool:
                assert process.poll() is None, (directory / "gateway.log").read_text()
                with contextlib.suppress(httpx.HTTPError):
                    return httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).status_code == 200
                return False

            poll(up, 60, "the gateway")
            yield port
        finally:
            process.terminate()
            process.wait(15)
    assert process.returncode == 0


def join_env(chain: LocalChain, host: Daemon, port: int) -> dict[str, str]:
    """What `make join-env` prints, with the test's address in the place of the host's name."""
    arguments = [
        "--host", _NAME, "--rpc-port", str(port), "--deployment", str(chain.deployment_file),
        "--socket", str(host.directory / "run" / "dht.sock"),
    ]  # fmt: skip
    command = [sys.executable, "-m", "swarm_gateway.join_env", *arguments]
    text = subprocess.run(command, env=_environment(), check=True, capture_output=True, text=True, timeout=60).stdout
    text = text.replace(f"/dns4/{_NAME}", "/ip4/127.0.0.1").replace(_NAME, "127.0.0.1")
    return dict(line.split("=", 1) for line in text.splitlines() if not line.startswith("#"))


async def test_join_register_exchange_and_get_paid(session_chain: LocalChain, tmp_path: Path) -> None:
    with daemons_below(tmp_path) as made, gateway(session_chain, tmp_path) as port:
        host = made.start("host").up()
        joining = join_env(session_chain, host, port)
        guest = made.make("guest", joining["SWARM_BOOTNODES"], SWARM_CHAIN_ID=joining["SWARM_CHAIN_ID"]).start()
        guest.wait(lambda status: status["state"] == "ready" and status["peers"] >= 1)

        host.publish(1, group(1))
        guest.publish(1, group(2))
        for reader, author in ((guest, host), (host, guest)):
            taken = poll(lambda reader=reader: reader.collect(want=1)[0], 30, "groups of the other")
            assert list(taken) == [author.status()["peer_id"]]

        login = Login(guest.directory, session_chain, mode=joining["SWARM_LOGIN"], rpc_url=joining["SWARM_RPC_URL"])
        login.environment = {
            "SWARM_COORDINATOR": joining["SWARM_COORDINATOR"],
            "SWARM_MARKET": joining["SWARM_MARKET"],
            "SWARM_DEPLOYMENT_FILE": str(tmp_path / "none.json"),
        }
        login.start()
        peer = guest.status()["peer_id"]
        try:
            with login.api() as api:
                reward = {"orgId": "local", "peerId": peer, "roundNumber": 0, "stageNumber": 0, "reward": 5}
                answer = api.post("submit-reward", json=reward)
            assert answer.status_code == 200, (answer.text, login.log[-2000:])
        finally:
            login.stop()

        chain = ChainClient(ChainSettings(rpc_url=session_chain.rpc_url, coordinator=joining["SWARM_COORDINATOR"]))
        try:
            assert (await chain.owners([peer]))[0] is not None, "registered on the host's chain"
            assert await chain.total_rewards([peer]) == [5], "paid on the host's chain"
        finally:
            await chain.close()
