"""In which of the named states the node's identity is, and why: pure.

unclaimed → claimed → account_ready → registering → registered, or else owned_by_other, chain_unreachable, no_gas,
wrong_chain. Works with `texts` for reasons and remedies; `status` and the page show the result.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from login_proxy import texts
from login_proxy.outbox.funds import Shortage
from swarm_core.status import IdentityState


@dataclass(frozen=True)
class Situation:
    """What the service knows. `foreign` maps peers to the account that owns them instead of ours.

    `moved` means that the identity was handed over to another machine, `short` what the account cannot pay for.
    """

    claimed: bool
    account: str | None
    chain_state: str
    chain_reason: str
    registered: Collection[str]
    foreign: Mapping[str, str]
    short: Shortage | None = None
    chain_id: int = 0
    moved: bool = False


@dataclass(frozen=True)
class Identity:
    """A state with its reason and what the operator can do."""

    state: IdentityState
    reason: str = ""
    remedy: str = ""


def of_service(situation: Situation, peers: Collection[str]) -> Identity:
    """The state of the whole node: the first problem, else the least advanced peer."""
    base = _common(situation)
    if base is not None:
        return base
    states = [of_peer(situation, peer) for peer in sorted(peers)]
    for wanted in ("owned_by_other", "no_gas", "registering", "registered"):
        for identity in states:
            if identity.state == wanted:
                return identity
    return Identity("account_ready", texts.REASON_NO_PEER, texts.REMEDY_NO_PEER)


def of_peer(situation: Situation, peer_id: str) -> Identity:
    """The state of one peer."""
    base = _common(situation)
    if base is not None:
        return base
    if peer_id in situation.foreign:
        reason = texts.REASON_OWNED_BY_OTHER.format(owner=situation.foreign[peer_id])
        return Identity("owned_by_other", reason, texts.REMEDY_OWNED_BY_OTHER)
    if situation.short is not None:
        return _no_gas(situation, situation.short)
    if peer_id in situation.registered:
        return Identity("registered")
    return Identity("registering", texts.REASON_REGISTERING, texts.REMEDY_REGISTERING)


def _no_gas(situation: Situation, short: Shortage) -> Identity:
    missing = texts.ether(short.needed - short.balance)
    return Identity(
        "no_gas",
        texts.REASON_NO_GAS.format(balance=texts.ether(short.balance), needed=texts.ether(short.needed)),
        texts.REMEDY_NO_GAS.format(missing=missing, account=situation.account, chain_id=situation.chain_id),
    )


def _common(situation: Situation) -> Identity | None:
    if situation.moved:
        return Identity("claimed", texts.REASON_MOVED, texts.REMEDY_MOVED)
    if situation.account is None and not situation.claimed:
        return Identity("unclaimed", texts.REASON_UNCLAIMED, texts.REMEDY_UNCLAIMED)
    if situation.account is None:
        return Identity("claimed", texts.REASON_CLAIMED, texts.REMEDY_CLAIMED)
    if situation.chain_state == "wrong":
        return Identity("wrong_chain", situation.chain_reason, texts.REMEDY_WRONG_CHAIN)
    if situation.chain_state == "unreachable":
        return Identity("chain_unreachable", situation.chain_reason, texts.REMEDY_CHAIN_UNREACHABLE)
    if situation.chain_state == "unknown":
        return Identity("account_ready", texts.REASON_CHAIN_UNKNOWN, texts.REMEDY_NONE)
    return None
