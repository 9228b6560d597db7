"""Intents: what a peer wants on chain, and how they are named.

An intent is identified by chain, contract, function, round, stage and peer; the contract makes the same tuple
unique, so an intent may be sent again after any doubt. Works with `store` (rows) and `swarm_chain.calls` (call data).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum

from swarm_chain import calls

# SQLite integers have 64 bits and a sum must not overflow: 2**53 leaves room for a thousand of the largest
MAX_REWARD = 2**53
MAX_ROUND = 2**53


class Kind(StrEnum):
    """Which contract call an intent is."""

    REGISTER = "register"
    REWARD = "reward"
    WINNER = "winner"


class State(StrEnum):
    """Where an intent is. `sent`: signed bytes are on disk and may or may not have reached the chain."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    REJECTED = "rejected"
    PARKED = "parked"


UNFINISHED = (State.QUEUED, State.SENT, State.PARKED)


class ParkReason(StrEnum):
    """Why an intent is held although nothing is wrong with itself."""

    OWNED_BY_OTHER = "owned_by_other"
    WRONG_CHAIN = "wrong_chain"
    OTHER_TARGET = "other_target"


@dataclass(frozen=True)
class Target:
    """The contract on the chain that intents are for. `genesis` is empty where nothing tells it in advance."""

    chain_id: int
    contract: str
    genesis: str = ""

    @property
    def tag(self) -> str:
        """`chain|contract`; a wiped and re-deployed chain of the same id gets another tag by its genesis hash."""
        genesis = f"-{self.genesis.removeprefix('0x')[:16]}" if self.genesis else ""
        return f"{self.chain_id}{genesis}|{self.contract.lower()}"


@dataclass(frozen=True)
class Request:
    """An intent as it comes in, before it has a row. `round` and `stage` are -1 for `register`."""

    kind: Kind
    peer_id: str
    round: int = -1
    stage: int = -1
    reward: int = 0
    winners: tuple[str, ...] = ()

    def key(self, target: Target) -> str:
        """The idempotency key."""
        return f"{target.tag}|{self.kind.value}|{self.round}|{self.stage}|{self.peer_id}"

    def same_content(self, other: Request) -> bool:
        """Whether both want the same effect under the same key."""
        return self.reward == other.reward and self.winners == other.winners

    def winners_json(self) -> str:
        """Winners as stored."""
        return json.dumps(list(self.winners))

    def call_data(self) -> bytes:
        """Calldata for the coordinator."""
        if self.kind is Kind.REGISTER:
            return calls.register_peer(self.peer_id)
        if self.kind is Kind.REWARD:
            return calls.submit_reward(self.round, self.stage, self.reward, self.peer_id)
        return calls.submit_winners(self.round, list(self.winners), self.peer_id)


def register(peer_id: str) -> Request:
    """The wish that `peer_id` belongs to our account."""
    return Request(Kind.REGISTER, peer_id)


def reward(peer_id: str, round_number: int, stage: int, amount: int) -> Request:
    """The wish to report `amount` for a round and stage."""
    return Request(Kind.REWARD, peer_id, round_number, stage, reward=amount)


def winner(peer_id: str, round_number: int, winners: tuple[str, ...]) -> Request:
    """The wish to vote for `winners` of a round."""
    return Request(Kind.WINNER, peer_id, round_number, winners=winners)


@dataclass(frozen=True)
class Attempt:
    """A signed transaction of an intent: exact bytes, 0x-hash, nonce, and whether it was mined and reverted."""

    hash: str
    nonce: int
    raw: bytes
    account: str
    reverted: bool = False


@dataclass(frozen=True)
class Intent:
    """A row of the outbox. `attempts` are oldest first; `block` is where it was mined, when known."""

    id: int
    key: str
    request: Request
    state: State
    reason: str = ""
    tries: int = 0
    not_before: float = 0.0
    created_at: float = 0.0
    tx_hash: str | None = None
    block: int | None = None
    attempts: tuple[Attempt, ...] = field(default=())

    @property
    def last_attempt(self) -> Attempt | None:
        """The newest signed transaction."""
        return self.attempts[-1] if self.attempts else None

    def nonce(self, account: str) -> int | None:
        """The nonce it holds in the wallet's line: that of its newest attempt by `account`."""
        last = self.last_attempt
        return last.nonce if last is not None and last.account == account else None
