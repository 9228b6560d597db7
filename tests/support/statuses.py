"""Status documents as a running host gives them, for tests of what reads statuses."""

from __future__ import annotations

import time
from typing import Any

from swarm_core.status import (
    AdmissionStatus,
    BootnodeStatus,
    CompatStatus,
    DhtStatus,
    IdentityState,
    JudgedAnswer,
    JudgeStatus,
    LoginStatus,
    MarketStatus,
    NodeStatus,
    PeerAccount,
    RoundRecord,
    StoreStatus,
    UsedGroup,
)

MAIN_PEER = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"
OTHER_PEER = "QmPZ9gcCEpqKTo6aq61g2nXGUhM4iCL3ewB6LDXZCtioEB"
JUDGED = JudgedAnswer(round=40, score=0.5, at=1.0, swarm_score=0.25)
ACCOUNT = "0x5B38Da6a701c568545dCfcB03FcB875f56beddC4"


def node_status(peer_id: str = MAIN_PEER, node: str = "main", **changes: Any) -> NodeStatus:
    """A worker in the middle of round 41."""
    now = time.time()
    fields: dict[str, Any] = {
        "version": "0.1.0",
        "instance": "a1",
        "node": node,
        "peer_id": peer_id,
        "peer_name": "brisk silver otter",
        "model": "embedded",
        "device": "cpu",
        "dtype": "float32",
        "started_at": now - 400,
        "phase": "train",
        "phase_since": now - 2,
        "state": "training",
        "training_round": 41,
        "chain_round": 40,
        "round_current": 41,
        "rounds_behind": 1,
        "chain_reachable": True,
        "dht_state": "ready",
        "rounds": {"ok": 39, "exchange_failed": 2},
        "last_progress": now - 6,
        "optimizer_step": 39,
        "reward_own": 0.25,
        "reward_batch": 0.5,
        "external_used": 70,
        "external_rejected": {"stale": 3, "other_key": 1},
        "reward_pending": 0.5,
        "reward_handed_over": 120,
        "login_reachable": True,
        "checkpoint_step": 38,
        "memory_rss": 500_000_000,
        "micro_batch_tokens": 4096,
        "memory_steps_down": 1,
        "judge": JudgeStatus(url="http://judge", reachable=True, answers=[JUDGED]),
        "market": MarketStatus(market="53855/0xa", playing=True),
        "memory_note": "memory ran out 1×: micro-batch of 2048 tokens, 8 groups a round",
    }
    return NodeStatus.model_validate({**fields, **changes})


def round_record(**changes: Any) -> RoundRecord:
    """The last round of that worker."""
    fields: dict[str, Any] = {
        "training_round": 40,
        "chain_round": 40,
        "finished_at": time.time() - 6,
        "result": "ok",
        "own_reward": 0.25,
        "batch_reward": 0.5,
        "format_share": 0.75,
        "published": ["aa", "bb"],
        "external": [UsedGroup(peer=OTHER_PEER, sha256="cc")],
        "external_rejected": {"stale": 1},
        "groups_trained": 5,
        "groups_skipped": 3,
        "loss": -0.125,
        "grad_norm": 1.5,
        "clip_ratio": 0.0625,
        "entropy": 1.25,
        "kl": 0.0,
        "advantage_std": 0.9,
        "advantage_max": 2.5,
        "zero_advantage_share": 0.375,
        "rewards_by_task": {"chain_sum": 0.5, "gcd": 0.0},
        "completion_length_mean": 14.0625,
        "completion_length_max": 16,
        "finished_share": 0.875,
        "generated_tokens_per_second": 600.0,
        "trained_tokens_per_second": 450.0,
        "mfu": 0.31,
        "memory_peak": 600_000_000,
        "completion_tokens": 900,
        "optimizer_step": 39,
        "seconds": {"generate": 1.5, "train": 2.0},
    }
    return RoundRecord.model_validate({**fields, **changes})


def dht_status(peer_id: str = MAIN_PEER, **changes: Any) -> DhtStatus:
    """A daemon that exchanges with others."""
    now = time.time()
    fields: dict[str, Any] = {
        "version": "0.1.0",
        "instance": "b1",
        "state": "ready",
        "state_since": now - 300,
        "peer_id": peer_id,
        "generation": 2,
        "rebuilds": 1,
        "peers": 4,
        "bootnodes": [
            BootnodeStatus(address="/ip4/10.0.0.1/tcp/38751", source="chain", connected=True),
            BootnodeStatus(address="/ip4/10.0.0.2/tcp/38751", source="settings", error="refused"),
        ],
        "last_remote_success": now - 3,
        "published": ["aa", "bb"],
        "fetched_by": {OTHER_PEER: 7, "other": 2},
        "fetches": {"answered": 30, "none": 4},
        "rejected": {"too_large": 1},
        "bytes_received": 4096,
        "bytes_sent": 2048,
        "failed": {"timeout": 2},
        "refused": {"rate": 3},
        "fetch_seconds": {"0.5": 0.01, "0.9": 0.05, "0.99": 0.2},
        "traffic_received": {"fetch": 5000, "dht_find": 700},
        "traffic_sent": {"fetch": 400},
        "reachability": "private",
        "guests_hosted": 1,
        "guests_known": 2,
        "deposits": {"taken": 6, "failed": 1},
        "remembered": 5,
        "clock_offset": -0.5,
        "clock_jumps": 1,
        "loop_lag": 0.25,
        "admission": AdmissionStatus(
            registered_only=True, banned=[OTHER_PEER], bans=2, blamed={"copied": 4}, passed_over={"subnet": 6}
        ),
        "store": StoreStatus(bytes=2000, accepted=3, refused={"not_owner": 5}),
        "compat": CompatStatus(stopped=True, dictionary_bytes=2_200_000, counts={"read": 9}),
        "memory_rss": 120_000_000,
    }
    return DhtStatus.model_validate({**fields, **changes})


def peer_account(peer_id: str = MAIN_PEER, node: str = "", state: IdentityState = "registered") -> PeerAccount:
    """A registered peer with one reward on its way."""
    return PeerAccount(
        peer_id=peer_id, peer_name="brisk silver otter", node=node, state=state, local_total=120, delivered_total=117
    )


def login_status(**changes: Any) -> LoginStatus:
    """A claimed login service that serves the main node and one extra peer."""
    fields: dict[str, Any] = {
        "version": "0.1.0",
        "instance": "c1",
        "mode": "page",
        "claimed": True,
        "state": "registered",
        "account": ACCOUNT,
        "chain_reachable": True,
        "peers": [peer_account(), peer_account(OTHER_PEER, "peer-1")],
        "pending": {"reward": 1},
        "submissions": {"reward": {"delivered": 38, "rejected": 1}, "register": {"delivered": 2}},
        "oldest_pending_seconds": 4.5,
        "memory_rss": 90_000_000,
    }
    return LoginStatus.model_validate({**fields, **changes})
