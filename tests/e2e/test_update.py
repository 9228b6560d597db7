"""An update keeps everything: the volumes that an earlier version left start under today's images.

Each `data/volumes-<version>.tar.gz` was kept by `scripts/keep_volumes.py` from a claimed swarm of that version, with
what must be found afterwards in the JSON beside it (`data/README.md`). None is ever made anew.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.stack import LIGHT_IMAGE, Stack, wait_until
from tests.e2e.test_swarm import WORKERS, accounts, delivered_everything, on_chain

DATA = Path(__file__).with_name("data")
ARCHIVES = sorted(DATA.glob("volumes-*.tar.gz"))
PASSWORD = "a kept password"
ROUNDS = 2  # that both peers must finish after the update
SAME_CHAIN = ("chain_id", "genesis_hash", "coordinator", "block")  # the code behind the coordinator may be upgraded
DEPLOYMENT = "print(open('/deployment/deployment.json').read())"


def test_the_first_version_is_among_what_is_started() -> None:
    assert "volumes-0.1.0.tar.gz" in [archive.name for archive in ARCHIVES]


@pytest.mark.timeout(480)  # the deadlines below count; this is for a busy machine
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda archive: archive.name)
def test_volumes_of_an_earlier_version_start_under_todays_images(bare: Stack, archive: Path) -> None:
    kept: dict[str, Any] = json.loads(archive.with_name(archive.name.removesuffix(".tar.gz") + ".json").read_text())
    script = [sys.executable, str(bare.clone / "scripts/keep_volumes.py"), "restore", str(archive)]
    subprocess.run([*script, "--project", bare.project, "--image", LIGHT_IMAGE], check=True, timeout=60)
    started = time.monotonic()
    bare.up()
    print(f"up after {time.monotonic() - started:.0f} s")
    wait_until(
        f"both peers finish {ROUNDS} rounds",
        90,
        lambda: all(bare.get(what)["rounds"].get("ok", 0) >= ROUNDS for what in WORKERS.values()),
    )
    wait_until("every reward delivered", 60, lambda: delivered_everything(bare))
    print(f"{ROUNDS} rounds delivered after {time.monotonic() - started:.0f} s")

    # the same peers and the same owner, who was not asked anything
    login, peers = bare.get("login-proxy"), accounts(bare)
    identities = {name: peer["peer_id"] for name, peer in kept["peers"].items()}
    assert {name: peer["peer_id"] for name, peer in peers.items()} == identities
    assert {name: bare.get(what)["peer_id"] for name, what in WORKERS.items()} == identities
    assert bare.get("bootnode")["peer_id"] == kept["bootnode"]
    assert login["account"] == kept["account"]
    assert (login["mode"], login["claimed"], login["state"]) == ("page", True, "registered")
    assert "setup_token" not in bare.logs("login-proxy")
    assert signs_in(bare, PASSWORD)
    assert not signs_in(bare, "another password")

    # the optimiser went on, it did not start over
    node = bare.get("node")
    assert node["resumed_from"] == kept["optimizer_step"]
    assert node["optimizer_step"] > kept["optimizer_step"]
    rounds = [record for record in bare.history("node") if record["finished_at"] > node["started_at"]]
    assert rounds[0]["training_round"] == kept["training_round"] + 1
    assert node["round_current"] > kept["chain_round"]
    assert not any(bare.restarts().values())

    # the same chain and contract, and what was earned on it
    deployment = json.loads(bare.run_in("login-proxy", DEPLOYMENT))
    assert {name: deployment[name] for name in SAME_CHAIN} == {name: kept["deployment"][name] for name in SAME_CHAIN}
    bare.compose("stop", "node", "peer")  # so that nothing is earned while chain and outbox are compared
    wait_until("the outbox is empty", 60, lambda: not any(bare.get("login-proxy")["pending"].values()))
    peers = accounts(bare)
    chain = on_chain(bare, list(identities.values()))
    for name, peer in peers.items():
        assert chain[peer["peer_id"]] == peer["delivered_total"] > kept["peers"][name]["delivered_total"]


def signs_in(stack: Stack, password: str) -> bool:
    """Whether the page takes `password`."""
    origin = f"http://localhost:{stack.login_port}"
    answer = httpx.post(f"{origin}/login", data={"password": password}, headers={"origin": origin}, timeout=10)
    assert answer.status_code in (303, 403), answer.text
    return answer.status_code == 303
