"""The catalogue of metric names: what each means, its kind and its labels.

The exporter makes its series from here (`swarm_exporter.samples`); dashboards, alert rules and docs are tested
against it. `node` is `main` or `peer-<slot>`; the chain and the login service belong to the host and carry the main
node's label. Times are Unix seconds, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "rlswarm_"
Kind = Literal["gauge", "counter", "info"]


@dataclass(frozen=True)
class Metric:
    """One metric family. `name` is complete; `labels` come in this order. An `info` is always 1."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ("node",)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, "gauge", text, ("node", *labels))


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, "counter", text, ("node", *labels))


def _info(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, "info", text, ("node", *labels))


# the exporter itself: no node
_EXPORTER = (
    Metric(PREFIX + "build_info", "info", "Version of the exporter", ("version",)),
    Metric(PREFIX + "collector_success", "gauge", "1 when every source of the collector gave a usable answer",
           ("collector",)),
    Metric(PREFIX + "collector_duration_seconds", "gauge", "How long the collector took", ("collector",)),
)  # fmt: skip

_ALIVE = (
    _gauge("component_up", "1 when the component gave a usable answer to the last scrape", "component"),
    _gauge("memory_rss_bytes", "Resident memory of the component's process", "component"),
    _gauge("component_error", "1 while the component shows a last error on its status", "component"),
    _gauge("action_required", "1 while the operator has to do something", "action"),
)

_WORKER = (
    _info("node_info", "The node behind this label", "peer_id", "node_name", "model", "device"),
    _info("worker_info", "The worker's process", "version", "instance", "dtype"),
    _gauge("worker_start_timestamp_seconds", "When the worker started"),
    _gauge("worker_state", "1 for the worker's state, 0 for the others", "state"),
    _gauge("worker_reaches", "1 when the worker reached the service at its last try", "service"),
    _gauge("phase", "1 for the worker's phase, 0 for the others", "phase"),
    _gauge("phase_start_timestamp_seconds", "When the worker entered its phase"),
    _counter("rounds_total", "Rounds of the worker by result: ok, or the reason of a failure", "result"),
    _gauge("round_current", "Round of the contract as the worker last read it"),
    _gauge("round_joined", "Chain round that the worker is in"),
    _gauge("round_training", "Training rounds of this node, counted over restarts"),
    _gauge("rounds_behind", "Rounds the worker is behind the contract"),
    _gauge("last_progress_timestamp_seconds", "When the last round ended well"),
    _gauge("round_phase_seconds", "Seconds of the last round by phase", "phase"),
)

_LEARNING = (
    _gauge("train_reward_mean", "Mean reward of the last round: own completions, the whole batch, held-out questions",
           "source"),
    _gauge("train_format_share", "Share of the last round's own completions in the asked format"),
    _gauge("train_loss", "Loss of the last round"),
    _gauge("train_grad_norm", "Gradient norm of the last round before clipping"),
    _gauge("train_clip_ratio", "Share of clipped tokens in the last round"),
    _gauge("train_entropy", "Entropy of the policy in the last round, nats a token"),
    _gauge("train_kl", "KL divergence to the frozen reference in the last round"),
    _gauge("train_advantage", "Advantages of the last round: standard deviation, largest absolute value", "statistic"),
    _gauge("train_zero_advantage_share", "Share of own groups of the last round whose rewards were all equal"),
    _gauge("train_reward_task_mean", "Mean reward of own completions of the last round by task", "task"),
    _gauge("train_completion_length", "Tokens of own completions of the last round: mean, max", "statistic"),
    _gauge("train_finished_share", "Share of own completions of the last round that ended by themselves"),
    _gauge("train_tokens_per_second", "Completion tokens a second in the last round: generated, trained", "work"),
    _gauge("train_mfu", "Share of the machine's best matrix product that the last update reached"),
    _gauge("memory_peak_bytes", "The most memory that the worker's process ever held"),
    _gauge("memory_steps_down", "Times that memory ran out and rounds were made smaller"),
    _gauge("micro_batch_tokens", "Packed tokens that an update forwards at once"),
    _gauge("train_groups", "Groups of the last round: trained on, or skipped because all rewards were equal", "use"),
    _gauge("train_completion_tokens", "Tokens of the last round's own completions"),
    _gauge("optimizer_step", "Steps of the optimiser, counted over restarts"),
    _gauge("checkpoint_step", "Optimiser step of the newest checkpoint"),
)  # fmt: skip

_EXCHANGE = (
    _counter("external_groups_total", "Rollout groups of other peers since the worker started", "result"),
    _counter("external_rejected_total", "Rollout groups of other peers that the worker rejected, by reason", "reason"),
    _gauge("round_external_groups", "Rollout groups of other peers that the last round trained with"),
    _gauge("round_published_groups", "Own rollout groups that the last round published"),
    _gauge("dht_state", "1 for the DHT daemon's state, 0 for the others", "state"),
    _gauge("dht_state_start_timestamp_seconds", "When the daemon entered its state"),
    _gauge("dht_peers", "Peers in the routing table"),
    _gauge("dht_bootnodes", "Bootnodes that the daemon knows", "state"),
    _gauge("dht_generation", "Generation of the DHT node inside the daemon"),
    _counter("dht_rebuilds_total", "Times the daemon rebuilt its DHT node"),
    _gauge("dht_last_remote_success_timestamp_seconds", "When a remote peer last answered"),
    _gauge("dht_published_groups", "Rollout groups that the daemon serves now"),
    _counter("dht_fetches_total", "Fetches from other peers by outcome", "result"),
    _counter("dht_served_total", "Fetches of other peers that the daemon answered"),
    _gauge("dht_served_peers", "Peers that have fetched from this node"),
    _counter("dht_rejected_total", "Batches of other peers that the daemon refused, by reason", "reason"),
    _counter("dht_bytes_total", "Rollout bytes exchanged", "direction"),
    _counter("dht_traffic_bytes_total", "Payload of all calls by kind, those of the DHT included", "direction", "kind"),
    _counter("dht_failed_total", "Fetches from other peers that failed, by reason", "reason"),
    _counter("dht_refused_total", "Callers that were told to come later, by reason", "reason"),
    _gauge("dht_fetch_seconds", "Time of the last fetches that were answered", "quantile"),
    _gauge("dht_reachability", "1 for whether others can dial this node, 0 for the others", "state"),
    _gauge("dht_guests", "Peers behind NAT: hosted here, or known through others", "kind"),
    _counter("dht_deposits_total", "Own batches left with public peers, by outcome", "result"),
    _gauge("dht_remembered_peers", "Peers kept on disk, to join by when no bootnode answers"),
    _gauge("dht_clock_offset_seconds", "Median of the other peers' clocks minus ours"),
    _counter("dht_clock_jumps_total", "Times the wall clock of the host jumped"),
    _gauge("dht_loop_lag_seconds", "Longest delay of the daemon's event loop"),
    _gauge("dht_registered_only", "1 while only peers that the contract knows are exchanged with"),
    _gauge("dht_banned_peers", "Peers that are not asked now because of what they sent"),
    _counter("dht_bans_total", "Bans of peers"),
    _counter("dht_blamed_total", "What other peers did wrong, by reason", "reason"),
    _counter("dht_passed_over_total", "Peers that a collect did not ask, by reason", "reason"),
    _gauge("dht_store_bytes", "Bytes held in the DHT for others"),
    _counter("dht_store_refused_total", "Records of other peers that the DHT did not keep, by reason", "reason"),
    _gauge("dht_compat_stopped", "1 while genrl compatibility has stopped near libp2p's limit of a message"),
    _gauge("dht_compat_dictionary_bytes", "Size of a round's dictionary of genrl records, read or estimated"),
    _counter("dht_compat_records_total", "Genrl records by what became of them", "result"),
)

_COUNTING = (
    _info("login_info", "The login service", "version", "mode", "account"),
    _gauge("login_claimed", "1 when the node has an owner"),
    _gauge("identity_state", "1 for the state of account and registration, 0 for the others", "state"),
    _gauge("peer_state", "1 for the state of a peer's registration, 0 for the others", "peer_id", "state"),
    _counter("chain_submissions_total", "Intents of the outbox by outcome", "kind", "result"),
    _gauge("outbox_pending", "Intents not yet finished", "kind"),
    _gauge("outbox_oldest_pending_seconds", "Age of the oldest unfinished intent"),
    _gauge("reward_pending", "Reward that the worker has not handed to the login service yet"),
    _gauge("reward_handed_over", "Sum of rewards that the login service accepted from the worker"),
    _gauge("peer_rewards_local", "Sum of a peer's rewards in the outbox, delivered or not", "peer_id"),
    _gauge("peer_rewards_delivered", "Sum of a peer's rewards that the outbox delivered", "peer_id"),
    _gauge("peer_registered", "1 when an account owns the peer on chain", "peer_id"),
    _gauge("peer_rewards", "Total rewards of a peer on chain", "peer_id"),
    _gauge("peer_wins", "Votes that a peer received on chain", "peer_id"),
    _gauge("peer_votes", "Rounds in which a peer voted (participation)", "peer_id"),
    _gauge("chain_round", "Round of the contract as the exporter last read it"),
    _gauge("chain_stage", "Stage of the contract"),
    _gauge("chain_block", "Newest block of the chain"),
    _gauge("chain_read_timestamp_seconds", "When the exporter last read the chain"),
)

_HOST = (
    _gauge("judge_reachable", "1 when the judge answered the worker at its last try"),
    _gauge("judge_answers", "Answers behind the mean score, at most the newest 100 since the worker started"),
    _gauge("judge_score_mean", "Mean of what the judge gave for the worker's newest answers"),
    _gauge("judge_swarm_score_mean", "Mean score of the swarm in the rounds of those answers"),
    _gauge("market_playing", "1 while the node bets on the prediction market"),
    _gauge("market_bets", "Bets of the newest games by what became of them", "state"),
    _gauge("market_unclaimed_tokens", "Winnings and refunds of games that are over and not claimed yet"),
    _gauge("market_profit_tokens", "Paid out or payable less bet, over the newest games that are over"),
)

# names that community tools of upstream read
_ALIASES = tuple(
    Metric(f"gensyn_{name}", "gauge", f"The same as {PREFIX}peer_{name}", ("node", "peer_id"))
    for name in ("rewards", "wins", "votes")
)

CATALOGUE: tuple[Metric, ...] = _EXPORTER + _ALIVE + _WORKER + _LEARNING + _EXCHANGE + _COUNTING + _HOST + _ALIASES
