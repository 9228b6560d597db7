"""Intents: what a peer wants on chain, and how they are named.

An intent is identified by chain, contract, function, round, stage and peer (for bets: game and clue). The coordinator
makes the same tuple unique, so such an intent may be sent again after any doubt; a market need not, so a bet may not.
Works with `store` (rows) and `swarm_chain.calls` (call data).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum

from swarm_chain import calls
from swarm_chain.records import Fees

# SQLite integers have 64 bits and a sum must not overflow: 2**53 leaves room for a thousand of the largest
MAX_REWARD = 2**53
MAX_ROUND = 2**53
MAX_BET = 2**255


class Kind(StrEnum):
    """Which contract call an intent is."""

    REGISTER = "register"
    REWARD = "reward"
    WINNER = "winner"
    GUESS = "guess"
    CLAIM = "claim"

    @property
    def of_market(self) -> bool:
        """Whether the prediction market is called, not the coordinator."""
        return self in (Kind.GUESS, Kind.CLAIM)

    @property
    def repeatable(self) -> bool:
        """Whether the contract itself keeps a second one from having effect."""
        return self is not Kind.GUESS


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
    """The contracts on the chain that intents are for.

    `genesis` is empty where nothing tells it in advance, `market` where there is no prediction market.
    """

    chain_id: int
    contract: str
    genesis: str = ""
    market: str = ""

    @property
    def tag(self) -> str:
        """`chain|contract`; a wiped and re-deployed chain of the same id gets another tag by its genesis hash."""
        genesis = f"-{self.genesis.removeprefix('0x')[:16]}" if self.genesis else ""
        return f"{self.chain_id}{genesis}|{self.contract.lower()}"


@dataclass(frozen=True)
class Request:
    """An intent as it comes in, before it has a row.

    `round` and `stage` are -1 for `register`; for `guess` they are game and clue, for `claim` the game and -1.
    """

    kind: Kind
    peer_id: str
    round: int = -1
    stage: int = -1
    reward: int = 0
    winners: tuple[str, ...] = ()
    choice: int = -1
    bet: int = 0

    def key(self, target: Target) -> str:
        """The idempotency key."""
        return f"{target.tag}|{self.kind.value}|{self.round}|{self.stage}|{self.peer_id}"

    def same_content(self, other: Request) -> bool:
        """Whether both want the same effect under the same key."""
        return (self.reward, self.winners, self.choice, self.bet) == (
            other.reward, other.winners, other.choice, other.bet,
        )  # fmt: skip

    def winners_json(self) -> str:
        """Winners as stored."""
        return json.dumps(list(self.winners))

    def details_json(self) -> str:
        """Choice and bet as stored; the bet as text, it may have 256 bits. Empty for every other kind."""
        return json.dumps({"choice": self.choice, "bet": str(self.bet)}) if self.kind is Kind.GUESS else ""

    def address(self, target: Target) -> str:
        """The contract that is called."""
        return target.market if self.kind.of_market else target.contract

    def call_data(self) -> bytes:
        """Calldata for that contract."""
        if self.kind is Kind.REGISTER:
            return calls.register_peer(self.peer_id)
        if self.kind is Kind.REWARD:
            return calls.submit_reward(self.round, self.stage, self.reward, self.peer_id)
        if self.kind is Kind.GUESS:
            return calls.guess_answer(self.round, self.peer_id, self.stage, self.choice, self.bet)
        if self.kind is Kind.CLAIM:
            return calls.claim_reward(self.round, self.peer_id)
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


def guess(peer_id: str, game: int, clue: int, choice: int, bet: int) -> Request:
    """The wish to bet on a choice after a clue of a game."""
    return Request(Kind.GUESS, peer_id, game, clue, choice=choice, bet=bet)


def claim(peer_id: str, game: int) -> Request:
    """The wish to be paid what the peer won in a game."""
    return Request(Kind.CLAIM, peer_id, game)


@dataclass(frozen=True)
class Attempt:
    """A signed transaction of an intent: exact bytes, 0x-hash, nonce, and whether it was mined and reverted.

    `gas` and `fees` (wei per gas) are what it offers; zero where an older version signed it.
    """

    hash: str
    nonce: int
    raw: bytes
    account: str
    reverted: bool = False
    gas: int = 0
    fees: Fees = field(default=Fees(0, 0))

    @property
    def cost(self) -> int:
        """Wei that the account must hold for it."""
        return self.gas * self.fees.max_fee


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

    @property
    def reverted(self) -> bool:
        """Whether the number of its newest transaction was used up without effect, by that or an earlier offer."""
        last = self.last_attempt
        return last is not None and any(a.reverted and a.nonce == last.nonce for a in self.attempts)

    def nonce(self, account: str) -> int | None:
        """The nonce it holds in the wallet's line: that of its newest attempt by `account`."""
        last = self.last_attempt
        return last.nonce if last is not None and last.account == account else None
