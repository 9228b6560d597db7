"""What to do when the chain says no: pure decisions, no I/O.

Works with `delivery`, which gathers the facts and carries the verdict out. The rule behind the table: an intent is
rejected only when no later block can make it acceptable; what another block or another RPC may change is tried later.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from login_proxy.outbox.intents import Kind, Request

# seconds until a refused intent is tried again
SOON = 2.0
LATER = 15.0
# how often the chain may refuse for a reason that could pass before it counts as final
MAX_TRIES_UNKNOWN = 3
MAX_TRIES_VOTE = 20
MAX_TRIES_MISSING = 20
MAX_TRIES_CLAIM = 20


# the contract says that the effect is there
_DONE_BEFORE = frozenset(
    {"PeerIdAlreadyRegistered", "RewardAlreadySubmitted", "WinnerAlreadyVoted", "AlreadyGuessed", "AlreadyClaimed"}
)
NOT_REGISTERED = frozenset({"InvalidVoterPeerId", "NotPeerOwner"})
# a bet that no later block makes acceptable, and a claim there is nothing for
_FINAL = frozenset({"InvalidChoice", "InvalidBet", "NotEnoughBetTokens", "NothingToClaim"})


class Action(Enum):
    """What happens to a refused intent."""

    DELIVERED = "delivered"
    REJECT = "reject"
    RETRY = "retry"
    OWNED_BY_OTHER = "owned_by_other"


@dataclass(frozen=True)
class Facts:
    """What the chain shows after it refused: round and stage, the peer's owner, whether the effect is there."""

    account: str
    round: int
    stage: int
    owner: str | None
    present: bool


@dataclass(frozen=True)
class Verdict:
    """An action; `seconds` is the pause before a retry."""

    action: Action
    seconds: float = 0.0


def on_contract_error(name: str, request: Request, tries: int, facts: Facts) -> Verdict:
    """The verdict on an intent that the contract refused with the error `name`, after `tries` earlier refusals."""
    ours = same_account(facts.owner, facts.account)
    if facts.owner is not None and not ours:
        return Verdict(Action.OWNED_BY_OTHER)
    if ours and facts.present:
        return Verdict(Action.DELIVERED)
    if name in _DONE_BEFORE:
        # the node that refused and the node that we asked differ: one of them lags
        return _bounded(tries, MAX_TRIES_MISSING, SOON)
    if name in NOT_REGISTERED:
        # not registered (any more) as far as this node knows; the registrar sees to it
        return Verdict(Action.RETRY, SOON)
    if name in ("InvalidRoundNumber", "InvalidStageNumber"):
        return _round_verdict(request, tries, facts)
    if name == "InvalidVote" and request.kind is Kind.WINNER:
        # a winner may be a peer that registers a moment later
        return _bounded(tries, MAX_TRIES_VOTE, LATER)
    if name == "InvalidVote" or name in _FINAL:
        return Verdict(Action.REJECT)
    if request.kind is Kind.CLAIM:
        # the answer may be revealed a moment later, or the market be paused
        return _bounded(tries, MAX_TRIES_CLAIM, LATER)
    return _bounded(tries, MAX_TRIES_UNKNOWN, SOON)


def _round_verdict(request: Request, tries: int, facts: Facts) -> Verdict:
    ahead = (request.round, max(request.stage, 0)) > (facts.round, facts.stage)
    if ahead:
        # the chain went back, or this node lags: the round will come
        return Verdict(Action.RETRY, min(SOON * 2 ** min(tries, 4), LATER))
    # once more before it is final: the round may have come between the refusal and our question
    return _bounded(tries, 1, SOON)


def _bounded(tries: int, limit: int, seconds: float) -> Verdict:
    return Verdict(Action.REJECT) if tries >= limit else Verdict(Action.RETRY, seconds)


SendResult = Literal["accepted", "nonce_taken", "wait"]


def on_refusal(reason: str) -> SendResult:
    """What a refusal of `eth_sendRawTransaction` means for our bytes; `reason` as in `RpcRefused.reason`."""
    if reason == "already_known":
        return "accepted"
    if reason == "nonce_too_low":
        return "nonce_taken"
    return "wait"


def same_account(left: str | None, right: str | None) -> bool:
    """Whether two addresses are the same, whatever their letter case; None is nobody."""
    return left is not None and right is not None and left.lower() == right.lower()
