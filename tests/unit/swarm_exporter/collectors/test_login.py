"""The login service's status becomes series: outbox, submissions, registration of each peer, and what to do."""

from pathlib import Path
from typing import Any

import pytest
from tests.support.statuses import ACCOUNT, MAIN_PEER, OTHER_PEER, login_status, peer_account

from swarm_exporter.collectors.login import LoginCollector
from swarm_exporter.nodes import Nodes
from swarm_exporter.peers import OwnPeers
from swarm_exporter.samples import Samples

LOGIN = Path("/run/login")


async def _collect(sockets: Any, run_dir: Path, peers: OwnPeers, status: Any) -> Samples:
    if status is not None:
        sockets.documents[LOGIN / "login.sock", "/v1/status"] = status
    samples = Samples()
    collector = LoginCollector(sockets, LOGIN, Nodes(run_dir, "main", 60), peers)
    assert await collector.collect(samples) == (status is not None)
    return samples


async def test_counts_and_peers(sockets: Any, run_dir: Path, rendered: Any) -> None:
    peers = OwnPeers(60)
    values = rendered(await _collect(sockets, run_dir, peers, login_status()))
    assert values("rlswarm_login_info", node="main", version="0.1.0", mode="page", account=ACCOUNT) == 1
    assert values("rlswarm_login_claimed", node="main") == 1
    assert values("rlswarm_identity_state", node="main", state="registered") == 1
    assert values("rlswarm_identity_state", node="main", state="no_gas") == 0
    assert values("rlswarm_chain_submissions_total", node="main", kind="reward", result="delivered") == 38
    assert values("rlswarm_chain_submissions_total", node="main", kind="winner", result="delivered") == 0
    assert values("rlswarm_outbox_pending", node="main", kind="reward") == 1
    assert values("rlswarm_outbox_pending", node="main", kind="register") == 0
    assert values("rlswarm_peer_state", node="peer-1", peer_id=OTHER_PEER, state="registered") == 1
    assert values("rlswarm_peer_rewards_local", node="main", peer_id=MAIN_PEER) == 120
    assert values("rlswarm_peer_rewards_delivered", node="peer-1", peer_id=OTHER_PEER) == 117
    assert peers.current() == {MAIN_PEER: "main", OTHER_PEER: "peer-1"}
    assert values("rlswarm_action_required", node="main", action="claim") == 0


async def test_the_node_that_a_status_named_wins(sockets: Any, run_dir: Path, rendered: Any) -> None:
    peers = OwnPeers(60)
    peers.seen(MAIN_PEER, "peer-1")
    values = rendered(await _collect(sockets, run_dir, peers, login_status(peers=[peer_account(node="main")])))
    assert values("rlswarm_peer_rewards_local", node="peer-1", peer_id=MAIN_PEER) == 120
    assert values("rlswarm_peer_rewards_local", node="main", peer_id=MAIN_PEER) is None


async def test_a_peer_whose_slot_is_gone_is_left_out(sockets: Any, run_dir: Path, rendered: Any) -> None:
    peers = OwnPeers(60)
    status = login_status(peers=[peer_account(OTHER_PEER, "peer-7")])
    values = rendered(await _collect(sockets, run_dir, peers, status))
    assert peers.current() == {}
    assert values.series(peer_id=OTHER_PEER) == set()


@pytest.mark.parametrize(
    ("changes", "actions"),
    [
        ({"claimed": False, "state": "unclaimed", "account": None}, {"claim"}),
        ({"claimed": False, "state": "unclaimed", "mode": "auto"}, set()),
        ({"state": "no_gas"}, {"fund_account"}),
        ({"state": "wrong_chain"}, {"fix_chain_settings"}),
        ({"peers": [peer_account(state="owned_by_other")]}, {"restore_account"}),
        ({"state": "chain_unreachable"}, set()),
    ],
)
async def test_what_the_operator_has_to_do(
    sockets: Any, run_dir: Path, rendered: Any, changes: dict[str, Any], actions: set[str]
) -> None:
    values = rendered(await _collect(sockets, run_dir, OwnPeers(60), login_status(**changes)))
    every = ("claim", "fund_account", "fix_chain_settings", "restore_account")
    asked = {action: values("rlswarm_action_required", node="main", action=action) for action in every}
    assert asked == {action: float(action in actions) for action in every}


async def test_a_dead_login_service(sockets: Any, run_dir: Path, rendered: Any) -> None:
    values = rendered(await _collect(sockets, run_dir, OwnPeers(60), None))
    assert values.all == {("rlswarm_component_up", frozenset({("node", "main"), ("component", "login")})): 0.0}
