"""What the sockets answer: typed status of worker, daemon and login service.

Written by the process that owns the socket, read by the exporter, the page and the tests. Fields are only added.
Times are Unix seconds, durations seconds, memory bytes.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Phase = Literal[
    "starting", "waiting", "generate", "score", "exchange", "train", "evaluate", "checkpoint", "submit", "stopped"
]
DhtState = Literal["starting", "ready", "isolated", "rebuilding", "clock_skew"]
IdentityState = Literal[
    "unclaimed", "claimed", "account_ready", "registering", "registered",
    "owned_by_other", "chain_unreachable", "no_gas", "wrong_chain",
]  # fmt: skip


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class UsedGroup(_Model):
    """An external group that entered a training step."""

    peer: str
    sha256: str


class RoundRecord(_Model):
    """One finished (or failed) round of the worker."""

    training_round: int
    chain_round: int | None = None
    finished_at: float
    result: str = Field(description="ok, or the reason why the round failed")
    own_reward: float | None = Field(None, description="mean reward of own completions")
    batch_reward: float | None = Field(None, description="mean reward of all groups offered to the step")
    held_out_reward: float | None = None
    format_share: float | None = None
    published: list[str] = Field(default_factory=list, description="SHA-256 of each group published in this round")
    external: list[UsedGroup] = Field(default_factory=list)
    external_rejected: dict[str, int] = Field(default_factory=dict)
    exchange_state: str = ""
    groups_trained: int = 0
    groups_skipped: int = 0
    loss: float | None = None
    grad_norm: float | None = None
    clip_ratio: float | None = None
    entropy: float | None = Field(None, description="nats, mean over the tokens trained on")
    kl: float | None = Field(None, description="to the frozen reference, mean over the tokens trained on")
    advantage_std: float | None = None
    advantage_max: float | None = Field(None, description="largest absolute advantage")
    zero_advantage_share: float | None = Field(None, description="own groups whose rewards were all equal")
    rewards_by_task: dict[str, float] = Field(default_factory=dict, description="mean reward of own completions")
    completion_length_mean: float | None = None
    completion_length_max: int | None = None
    finished_share: float | None = Field(None, description="own completions that ended by themselves")
    generated_tokens_per_second: float | None = None
    trained_tokens_per_second: float | None = None
    mfu: float | None = Field(None, description="share of the machine's best matrix product that the update reached")
    memory_peak: int = 0
    completion_tokens: int = 0
    optimizer_step: int = 0
    weights_sha256: str = Field("", description="of the weights in this round's checkpoint, if one was written")
    seconds: dict[str, float] = Field(default_factory=dict, description="per phase")


class MarketBet(_Model):
    """A bet of this peer. `belief`: the model's probability of its choice among all; `odds`: payout per token at that
    moment if nobody bet any more."""

    clue: int
    choice: int
    stake: int
    belief: float = 0.0
    odds: float | None = None
    decided_at: float = 0.0
    state: Literal["decided", "handed_over", "placed", "missed", "refused"] = "decided"
    reason: str = ""


class MarketGame(_Model):
    """A game of the prediction market in which this peer bet."""

    game: int
    clue: str = Field("", description="the newest clue bet on")
    choices: list[str] = Field(default_factory=list)
    bets: list[MarketBet] = Field(default_factory=list)
    status: str = Field("open", description="open, closed, revealed or refundable, as the chain says")
    answer: int | None = None
    spent: int = 0
    claimable: int = 0
    claimed: bool = False
    payout: int = Field(0, description="what was claimed")


class MarketStatus(_Model):
    """This peer on the prediction market. `profit` is what was paid out less what was bet, over games that are over."""

    market: str = ""
    peer_id: str = ""
    playing: bool = False
    settled_before: int = Field(0, description="earlier games are claimed or have nothing to claim")
    games: list[MarketGame] = Field(default_factory=list)

    @property
    def unclaimed(self) -> int:
        """Bet tokens that can be claimed and are not."""
        return sum(game.claimable for game in self.games if not game.claimed)

    @property
    def profit(self) -> int:
        """Paid out, or payable, less bet."""
        over = [game for game in self.games if game.status in ("revealed", "refundable")]
        return sum((game.payout if game.claimed else game.claimable) - game.spent for game in over)


class JudgedAnswer(_Model):
    """A question of the judge that this peer answered; `swarm_score` is the mean of all peers in that round."""

    round: int
    score: float
    at: float
    swarm_score: float | None = None


class JudgeStatus(_Model):
    """This peer at the judge. `reachable` is None until it was asked."""

    url: str = ""
    reachable: bool | None = None
    refused: str = ""
    answers: list[JudgedAnswer] = Field(default_factory=list)


class NodeStatus(_Model):
    """The worker, `node.sock /v1/status`."""

    version: str
    instance: str
    node: str
    peer_id: str = ""
    peer_name: str = ""
    model: str
    device: str
    dtype: str
    started_at: float
    phase: Phase
    phase_since: float
    state: str = Field(description="training, isolated (no external groups reachable) or failing")
    training_round: int = 0
    chain_round: int | None = None
    round_current: int | None = Field(None, description="the chain's round when last read")
    rounds_behind: int = 0
    chain_reachable: bool = False
    dht_state: str = "unknown"
    rounds: dict[str, int] = Field(default_factory=dict, description="result -> count since start")
    last_progress: float = 0.0
    optimizer_step: int = 0
    reward_own: float | None = None
    reward_batch: float | None = None
    reward_held_out: float | None = None
    external_used: int = 0
    external_rejected: dict[str, int] = Field(default_factory=dict)
    reward_pending: float = Field(0.0, description="reward not yet handed to the login service")
    reward_handed_over: int = Field(0, description="sum of rewards accepted by the login service")
    login_reachable: bool = False
    resumed_from: int | None = None
    checkpoint_step: int | None = None
    hub_pushed_round: int | None = Field(None, description="newest training round that was pushed to the Hub")
    hub_failures: int = Field(0, description="failed pushes since the start")
    hub_error: str = ""
    memory_rss: int = 0
    memory_limit: int | None = Field(None, description="what the worker may use: the container's limit or the RAM")
    gpu_memory: int | None = Field(None, description="of the GPU it trains on")
    choices_revision: int = Field(0, description="revision of the page's choices that the worker follows")
    choice_error: str = Field("", description="why a choice of the page cannot be followed")
    micro_batch_tokens: int = Field(0, description="packed tokens forwarded at once")
    memory_steps_down: int = Field(0, description="times that memory ran out and a round was made smaller")
    memory_note: str = Field("", description="what rounds were reduced to; empty: nothing")
    last_error: str = ""
    judge: JudgeStatus = Field(default_factory=JudgeStatus)
    market: MarketStatus = Field(default_factory=MarketStatus)


class BootnodeStatus(_Model):
    """One bootnode the daemon dials."""

    address: str
    source: Literal["settings", "chain"]
    connected: bool = False
    error: str = ""


class CompatStatus(_Model):
    """The daemon's part in a swarm with genuine genrl peers (`SWARM_DHT_COMPAT=genrl`)."""

    stopped: bool = Field(description="true while a round's dictionary is too near libp2p's limit of 4 MiB")
    dictionary_bytes: int = Field(description="size of a round's dictionary, read or estimated")
    counts: dict[str, int] = Field(default_factory=dict, description="written, read, signed, unsigned, failed ...")
    refused: dict[str, int] = Field(default_factory=dict, description="reason -> records not taken")
    bytes_received: int = 0


class KnownPeer(_Model):
    """A peer as the daemon sees it, `GET /v1/peers`."""

    peer: str
    account: str | None = Field(None, description="the account that the contract names")
    account_known: bool = Field(False, description="whether the contract was asked about it")
    unwelcome: str = Field("", description="why it is not asked for groups: denied, banned, unregistered")
    proven: bool = Field(False, description="it has given good groups lately")


class AdmissionStatus(_Model):
    """Whom the daemon exchanges with."""

    registered_only: bool = False
    banned: list[str] = Field(default_factory=list)
    bans: int = 0
    blamed: dict[str, int] = Field(default_factory=dict, description="reason -> what peers did wrong")
    passed_over: dict[str, int] = Field(default_factory=dict, description="reason -> peers not asked in a collect")
    refused: dict[str, int] = Field(default_factory=dict, description="reason -> callers told to come later")


class StoreStatus(_Model):
    """What the daemon holds in the DHT for others."""

    bytes: int = 0
    accepted: int = 0
    refused: dict[str, int] = Field(default_factory=dict, description="reason -> records not kept")


class DhtStatus(_Model):
    """The DHT daemon, `dht.sock /v1/status`."""

    version: str
    instance: str
    state: DhtState
    state_since: float
    reason: str = ""
    peer_id: str = ""
    peer_name: str = ""
    generation: int = 0
    rebuilds: int = 0
    peers: int = 0
    listen: list[str] = Field(default_factory=list)
    bootnodes: list[BootnodeStatus] = Field(default_factory=list)
    reachability: Literal["unknown", "public", "private"] = "unknown"
    guests_hosted: int = Field(0, description="peers behind NAT whose batches this one serves on")
    guests_known: int = Field(0, description="peers behind NAT that are reached through others")
    deposits: dict[str, int] = Field(default_factory=dict, description="own batches left with others: taken, failed")
    clock_offset: float = Field(0.0, description="median of the other peers' clocks minus ours, seconds")
    clock_jumps: int = Field(0, description="times the wall clock of the host jumped")
    loop_lag: float = Field(0.0, description="longest delay of the event loop, seconds")
    last_remote_success: float | None = None
    published_round: int | None = None
    published: list[str] = Field(default_factory=list, description="SHA-256 of the groups served now")
    fetched_by: dict[str, int] = Field(default_factory=dict, description="peer -> times it fetched from us")
    fetches: dict[str, int] = Field(default_factory=dict, description="result -> count of our fetches")
    rejected: dict[str, int] = Field(default_factory=dict, description="reason -> count of refused batches")
    failed: dict[str, int] = Field(default_factory=dict, description="reason -> count of fetches that failed")
    refused: dict[str, int] = Field(default_factory=dict, description="reason -> count of callers told to come later")
    fetch_seconds: dict[str, float] = Field(default_factory=dict, description="quantile -> time of the last fetches")
    bytes_received: int = 0
    bytes_sent: int = 0
    traffic_received: dict[str, int] = Field(default_factory=dict, description="kind of call -> bytes, DHT included")
    traffic_sent: dict[str, int] = Field(default_factory=dict)
    remembered: int = Field(0, description="peers kept on disk, to join by when no bootnode answers")
    compat: CompatStatus | None = None
    admission: AdmissionStatus = Field(default_factory=AdmissionStatus)
    store: StoreStatus = Field(default_factory=StoreStatus)
    memory_rss: int = 0


class PeerAccount(_Model):
    """One own peer as the login service sees it."""

    peer_id: str
    peer_name: str
    node: str = ""
    state: IdentityState
    reason: str = ""
    remedy: str = ""
    local_total: int = Field(0, description="sum of rewards in the outbox, delivered or not")
    delivered_total: int = 0
    chain_total: int | None = None
    wins: int | None = None
    votes: int | None = None


class LoginStatus(_Model):
    """The login service, `login.sock /v1/status`."""

    version: str
    instance: str
    mode: Literal["page", "auto"]
    claimed: bool
    state: IdentityState
    reason: str = ""
    remedy: str = ""
    account: str | None = None
    chain_reachable: bool = False
    peers: list[PeerAccount] = Field(default_factory=list)
    pending: dict[str, int] = Field(default_factory=dict, description="kind -> intents not finished")
    submissions: dict[str, dict[str, int]] = Field(default_factory=dict, description="kind -> result -> count")
    oldest_pending_seconds: float = 0.0
    last_error: str = ""
    memory_rss: int = 0
    backup_missing: bool = Field(False, description="whether the present identity was never backed up")
    moved: bool = Field(False, description="whether the identity was handed over to another machine")
