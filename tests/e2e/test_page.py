"""With nothing set, training starts before anybody logs in; a claim in a browser makes the waiting rewards arrive. Then
the idle stack is measured.

The tests share one stack and run in this order.
"""

from __future__ import annotations

import re
import time
import urllib.request
from pathlib import Path

from tests.e2e.stack import Stack, wait_until

TOOLS_IMAGE = "rl-swarm/tools:local"
ROOT = Path(__file__).resolve().parents[2]
IDLE_ROUND = "600"
IDLE_SECONDS = 120
IDLE_SHARE = 0.15


def test_rewards_wait_until_somebody_claims_the_node(page: Stack) -> None:
    wait_until("rewards wait", 120, lambda: page.get("login-proxy")["pending"]["reward"] >= 2)
    status = page.get("login-proxy")
    assert (status["mode"], status["state"], status["claimed"]) == ("page", "unclaimed", False)
    assert all(peer["delivered_total"] == 0 for peer in status["peers"])
    with urllib.request.urlopen(f"http://localhost:{page.login_port}/", timeout=10) as answer:
        assert answer.url.endswith("/claim"), "nothing of the node is shown before the claim"


def test_a_claim_in_chromium_makes_them_arrive(page: Stack, tmp_path: Path) -> None:
    token = re.findall(r"setup_token=(\S+)", page.logs("login-proxy"))[-1]
    tmp_path.chmod(0o777)
    url = f"http://localhost:{page.login_port}/"
    page.docker.containers.run(
        TOOLS_IMAGE, ["python", "/repo/tests/tools/claim.py", url, token, "a long password", "/out/page.png"],
        network_mode="host", volumes={str(ROOT): {"bind": "/repo", "mode": "ro"}, str(tmp_path): {"bind": "/out"}},
        init=True, remove=True, labels={"rlswarm-test": page.project},
    )  # fmt: skip
    assert (tmp_path / "page.png").stat().st_size > 10_000

    def arrived() -> bool:
        status = page.get("login-proxy")
        return not status["pending"]["reward"] and all(
            peer["state"] == "registered" and peer["chain_total"] == peer["delivered_total"] > 0
            for peer in status["peers"]
        )

    wait_until("the waiting rewards arrive", 60, arrived)
    assert len(page.get("login-proxy")["peers"]) == 2
    assert token not in page.logs("exporter")
    with urllib.request.urlopen(f"http://localhost:{page.login_port}/", timeout=10) as answer:
        assert answer.url.endswith("/login"), "another visitor has to sign in"


def test_the_idle_stack_needs_little_cpu(page: Stack) -> None:
    page.up("--no-deps", "round-keeper", SWARM_ROUND_SECONDS=IDLE_ROUND)
    wait_until("both workers wait for the next round", 120, lambda: all(resting(page, w) for w in ("node", "peer")))
    before, started = page.cpu_seconds(), time.monotonic()
    wait_until("time passes", IDLE_SECONDS + 60, lambda: time.monotonic() - started >= IDLE_SECONDS, every=5)
    after, seconds = page.cpu_seconds(), time.monotonic() - started
    shares = {name: (after[name] - before[name]) / seconds for name in after}
    print({name: f"{share:.2%}" for name, share in sorted(shares.items(), key=lambda item: -item[1])})
    assert sum(shares.values()) <= IDLE_SHARE, shares


def resting(stack: Stack, worker: str) -> bool:
    """The worker has nothing to do for a while already."""
    status = stack.get(worker)
    return bool(status["phase"] == "waiting" and time.time() - status["phase_since"] > 15)
