"""Turns status into what the page shows: words, numbers and colours. Works with `node`, `texts` and the templates."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from login_proxy import texts
from login_proxy.node import LoginNode
from login_proxy.outbox.intents import Intent, Kind, State
from login_proxy.peers import PeerView
from swarm_core.names import peer_name
from swarm_core.status import PeerAccount

_RECENT = 12
_SHORT_HASH = 10


@dataclass(frozen=True)
class Badge:
    """A state in words; `tone` is good, warn or bad; `note` is a sentence for when something is wrong."""

    label: str
    tone: str
    note: str = ""


@dataclass(frozen=True)
class PeerCard:
    """One peer."""

    name: str
    peer_id: str
    node: str
    identity: Badge
    remedy: str
    dht: Badge
    dht_peers: int
    rewards_local: int
    rewards_delivered: int
    rewards_chain: int | None
    rewards_differ: bool
    wins: int | None
    votes: int | None
    worker: dict[str, str] = field(default_factory=dict)
    worker_note: str = ""


@dataclass(frozen=True)
class OutboxRow:
    """One of the last submissions."""

    kind: str
    peer: str
    round: str
    state: Badge
    reason: str
    tx_hash: str
    tx_short: str


@dataclass(frozen=True)
class NodeView:
    """Everything on the home page."""

    account: str
    chain_id: int
    contract: str
    identity: Badge
    remedy: str
    mode: str
    isolated: list[str]
    peers: list[PeerCard]
    outbox: list[tuple[str, list[tuple[str, int]]]]
    recent: list[OutboxRow]
    last_error: str
    version: str


async def node_view(node: LoginNode) -> NodeView:
    """Read every source, each with its own deadline, and put it into words."""
    seen = await node.peers.views()
    status = await node.status()
    by_id = {view.dht.peer_id: view for view in seen if view.dht is not None and view.dht.peer_id}
    by_node = {view.node: view for view in seen}
    cards = [_card(peer, by_id.get(peer.peer_id) or _silent(by_node.get(peer.node), peer)) for peer in status.peers]
    counts = node.store.counts()
    label, tone = texts.STATES[status.state]
    return NodeView(
        account=status.account or "",
        chain_id=node.store.target.chain_id,
        contract=node.store.target.contract,
        identity=Badge(label, tone, status.reason),
        remedy=status.remedy,
        mode=status.mode,
        isolated=[card.name for card in cards if card.dht.label == texts.DHT_STATES["isolated"][0]],
        peers=cards,
        outbox=[(texts.KINDS[kind.value], outbox_line(counts.get(kind.value, {}))) for kind in Kind],
        recent=[outbox_row(intent) for intent in node.store.recent(_RECENT)],
        last_error=status.last_error,
        version=status.version,
    )


def _silent(view: PeerView | None, peer: PeerAccount) -> PeerView | None:
    """A peer whose daemon does not answer still has its worker, if that one says it is this peer."""
    if view is not None and view.dht is None and view.worker is not None and view.worker.peer_id == peer.peer_id:
        return view
    return None


def _card(peer: PeerAccount, view: PeerView | None) -> PeerCard:
    label, tone = texts.STATES[peer.state]
    dht = view.dht if view is not None else None
    worker = _worker_lines(view) if view is not None else {}
    return PeerCard(
        name=peer.peer_name, peer_id=peer.peer_id, node=peer.node, identity=Badge(label, tone, peer.reason),
        remedy=peer.remedy, dht=Badge(*texts.DHT_STATES[dht.state if dht is not None else "silent"]),
        dht_peers=dht.peers if dht is not None else 0, rewards_local=peer.local_total,
        rewards_delivered=peer.delivered_total, rewards_chain=peer.chain_total,
        rewards_differ=peer.chain_total is not None and peer.chain_total != peer.delivered_total,
        wins=peer.wins, votes=peer.votes, worker=worker, worker_note="" if worker else texts.WORKER_SILENT,
    )  # fmt: skip


def _worker_lines(view: PeerView) -> dict[str, str]:
    worker = view.worker
    if worker is None:
        return {}
    since = span(time.time() - worker.phase_since)
    lines = {
        texts.PAGE["phase"]: f"{texts.PHASES[worker.phase]}, {texts.PAGE['since']} {since}",
        texts.PAGE["round"]: str(worker.training_round),
        texts.PAGE["chain_round"]: texts.PAGE["unknown"] if worker.round_current is None else str(worker.round_current),
        texts.PAGE["rounds_done"]: str(worker.rounds.get("ok", 0)),
        texts.PAGE["model"]: f"{worker.model} ({worker.device})",
        texts.PAGE["external"]: str(worker.external_used),
    }
    if worker.reward_own is not None:
        lines[texts.PAGE["reward_own"]] = f"{worker.reward_own:.3f}"
    if worker.memory_note:
        lines[texts.PAGE["memory"]] = worker.memory_note
    if worker.last_error:
        lines[texts.PAGE["last_error"]] = worker.last_error
    return lines


def outbox_line(counts: dict[str, int]) -> list[tuple[str, int]]:
    """How many of a kind are in each state, in words."""
    return [(texts.OUTBOX_STATES[state.value], counts.get(state.value, 0)) for state in State]


def outbox_row(intent: Intent) -> OutboxRow:
    """A submission in words."""
    tone = {State.DELIVERED: "good", State.REJECTED: "bad"}.get(intent.state, "warn")
    tx_hash = intent.tx_hash or ""
    return OutboxRow(
        kind=texts.KINDS[intent.request.kind.value],
        peer=peer_name(intent.request.peer_id),
        round=_when(intent),
        state=Badge(texts.OUTBOX_STATES[intent.state.value], tone),
        reason=texts.REASONS.get(intent.reason, intent.reason),
        tx_hash=tx_hash,
        tx_short=f"{tx_hash[:_SHORT_HASH]}…" if tx_hash else "",
    )


def _when(intent: Intent) -> str:
    request = intent.request
    if request.kind is Kind.REGISTER:
        return ""
    if request.kind is Kind.GUESS:
        return texts.CLUE.format(game=request.round, clue=request.stage)
    return texts.GAME.format(game=request.round) if request.kind is Kind.CLAIM else str(request.round)


def span(seconds: float) -> str:
    """A time span in its largest unit."""
    whole = max(int(seconds), 0)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if whole >= size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
