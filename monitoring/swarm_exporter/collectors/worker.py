"""The training workers of this host: `node.sock` of every node.

Answers "is it alive" (phase, progress, rounds) and "is it learning" (rewards, loss, external groups).
"""

from __future__ import annotations

import asyncio
from typing import get_args

from pydantic import TypeAdapter

from swarm_core.status import NodeStatus, Phase, RoundRecord
from swarm_exporter.collectors.host import add_judge, add_market
from swarm_exporter.nodes import Node, Nodes
from swarm_exporter.peers import OwnPeers
from swarm_exporter.samples import Samples
from swarm_exporter.source import Sockets

SOCKET = "node.sock"
STATES = ("training", "isolated", "failing")
_STATUS = TypeAdapter(NodeStatus)
_HISTORY = TypeAdapter(list[RoundRecord])


class WorkerCollector:
    """Status and last round of each worker."""

    name = "worker"

    def __init__(self, sockets: Sockets, nodes: Nodes, peers: OwnPeers) -> None:
        self._sockets = sockets
        self._nodes = nodes
        self._peers = peers

    async def collect(self, samples: Samples) -> bool:
        results = await asyncio.gather(*(self._node(samples, node) for node in self._nodes.present()))
        return all(results)

    async def _node(self, samples: Samples, node: Node) -> bool:
        socket = node.directory / SOCKET
        status = await self._sockets.read(socket, "/v1/status", _STATUS)
        if status is None:
            if counts := self._nodes.counts(node):
                samples.add("rlswarm_component_up", 0, node.label, self.name)
            return not counts
        self._nodes.answered(node)
        self._peers.seen(status.peer_id, node.label)
        add_status(samples, node.label, status)
        history = await self._sockets.read(socket, "/v1/history?limit=1", _HISTORY)
        if history:
            add_round(samples, node.label, history[-1])
        return history is not None


def add_status(samples: Samples, node: str, status: NodeStatus) -> None:
    """Samples of the worker's status."""
    samples.add("rlswarm_component_up", 1, node, "worker")
    samples.add("rlswarm_memory_rss_bytes", status.memory_rss, node, "worker")
    samples.add("rlswarm_component_error", bool(status.last_error), node, "worker")
    samples.add(
        "rlswarm_node_info", 1, node, status.peer_id, status.peer_name or status.node, status.model, status.device
    )
    samples.add("rlswarm_worker_info", 1, node, status.version, status.instance, status.dtype)
    samples.add("rlswarm_worker_start_timestamp_seconds", status.started_at, node)
    samples.one_of("rlswarm_worker_state", STATES, status.state, node)
    samples.add("rlswarm_worker_reaches", status.chain_reachable, node, "chain")
    samples.add("rlswarm_worker_reaches", status.login_reachable, node, "login")
    samples.add("rlswarm_worker_reaches", status.dht_state == "ready", node, "dht")
    samples.one_of("rlswarm_phase", get_args(Phase), status.phase, node)
    samples.add("rlswarm_phase_start_timestamp_seconds", status.phase_since, node)
    samples.counts("rlswarm_rounds_total", status.rounds, node, known=("ok",))
    samples.add("rlswarm_round_current", status.round_current, node)
    samples.add("rlswarm_round_joined", status.chain_round, node)
    samples.add("rlswarm_round_training", status.training_round, node)
    samples.add("rlswarm_rounds_behind", status.rounds_behind, node)
    samples.add("rlswarm_last_progress_timestamp_seconds", status.last_progress, node)
    samples.add("rlswarm_train_reward_mean", status.reward_own, node, "own")
    samples.add("rlswarm_train_reward_mean", status.reward_batch, node, "batch")
    samples.add("rlswarm_train_reward_mean", status.reward_held_out, node, "held_out")
    samples.add("rlswarm_optimizer_step", status.optimizer_step, node)
    samples.add("rlswarm_checkpoint_step", status.checkpoint_step, node)
    rejected = sum(status.external_rejected.values())
    samples.counts("rlswarm_external_groups_total", {"used": status.external_used, "rejected": rejected}, node)
    samples.counts("rlswarm_external_rejected_total", status.external_rejected, node)
    samples.add("rlswarm_memory_steps_down", status.memory_steps_down, node)
    samples.add("rlswarm_micro_batch_tokens", status.micro_batch_tokens or None, node)
    samples.add("rlswarm_reward_pending", status.reward_pending, node)
    samples.add("rlswarm_reward_handed_over", status.reward_handed_over, node)
    add_judge(samples, node, status.judge)
    add_market(samples, node, status.market)


def add_round(samples: Samples, node: str, record: RoundRecord) -> None:
    """Samples of the last round, well ended or not."""
    samples.counts("rlswarm_round_phase_seconds", record.seconds, node)
    samples.add("rlswarm_train_format_share", record.format_share, node)
    samples.add("rlswarm_train_loss", record.loss, node)
    samples.add("rlswarm_train_grad_norm", record.grad_norm, node)
    samples.add("rlswarm_train_clip_ratio", record.clip_ratio, node)
    samples.add("rlswarm_train_entropy", record.entropy, node)
    samples.add("rlswarm_train_kl", record.kl, node)
    samples.add("rlswarm_train_advantage", record.advantage_std, node, "std")
    samples.add("rlswarm_train_advantage", record.advantage_max, node, "max")
    samples.add("rlswarm_train_zero_advantage_share", record.zero_advantage_share, node)
    for task, reward in record.rewards_by_task.items():
        samples.add("rlswarm_train_reward_task_mean", reward, node, task)
    samples.add("rlswarm_train_completion_length", record.completion_length_mean, node, "mean")
    samples.add("rlswarm_train_completion_length", record.completion_length_max, node, "max")
    samples.add("rlswarm_train_finished_share", record.finished_share, node)
    samples.add("rlswarm_train_tokens_per_second", record.generated_tokens_per_second, node, "generated")
    samples.add("rlswarm_train_tokens_per_second", record.trained_tokens_per_second, node, "trained")
    samples.add("rlswarm_train_mfu", record.mfu, node)
    samples.add("rlswarm_memory_peak_bytes", record.memory_peak or None, node)
    samples.add("rlswarm_train_groups", record.groups_trained, node, "trained")
    samples.add("rlswarm_train_groups", record.groups_skipped, node, "skipped")
    samples.add("rlswarm_train_completion_tokens", record.completion_tokens, node)
    samples.add("rlswarm_round_external_groups", len(record.external), node)
    samples.add("rlswarm_round_published_groups", len(record.published), node)
