"""A coordinator in memory that behaves like the contract and a node with a pool, and fails on demand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from eth_abi.abi import decode

from swarm_chain.abi import argument_types, selector
from swarm_chain.errors import ContractError, RpcRefused
from swarm_chain.records import BlockInfo, Fees, Receipt, RoundInfo
from swarm_core.errors import SwarmError, Unavailable

_SIGNATURES = (
    "registerPeer(string)",
    "submitReward(uint256,uint256,int256,string)",
    "submitWinners(uint256,string[],string)",
    "guessAnswer(uint256,string,uint256,uint256,uint256)",
    "claimReward(uint256,string)",
)
ACCOUNT = "0xAbCd000000000000000000000000000000000001"
OTHER = "0x0000000000000000000000000000000000000bad"
CONTRACT = "0x" + "c0" * 20
MARKET = "0x" + "ae" * 20


class FakeClock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeSigner:
    """Signs as JSON; the hash is of the bytes, so that the same call and nonce give the same transaction."""

    def __init__(self, address: str = ACCOUNT) -> None:
        self.address = address
        self.signed = 0

    def sign(self, *, to: str, data: bytes, nonce: int, gas: int, fees: Fees, chain_id: int) -> tuple[str, bytes]:
        self.signed += 1
        offer = [fees.max_fee, fees.priority]
        body = {"from": self.address, "to": to, "data": data.hex(), "nonce": nonce, "gas": gas, "chain": chain_id}
        body["fees"] = offer
        raw = json.dumps(body).encode()
        return hash_of(raw), raw


def hash_of(raw: bytes) -> str:
    """The hash of a fake transaction."""
    return "0x" + hashlib.sha256(raw).hexdigest()


@dataclass
class _State:
    owners: dict[str, str] = field(default_factory=dict)
    rewards: dict[tuple[int, int, str], int] = field(default_factory=dict)
    votes: dict[tuple[int, str], list[str]] = field(default_factory=dict)
    bets: list[tuple[int, int, str, int, int]] = field(default_factory=list)
    claims: set[tuple[int, str]] = field(default_factory=set)
    nonces: dict[str, int] = field(default_factory=dict)
    receipts: dict[str, Receipt] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=lambda: ["genesis"])

    def copy(self) -> _State:
        return _State(
            dict(self.owners), dict(self.rewards), dict(self.votes), list(self.bets), set(self.claims),
            dict(self.nonces), dict(self.receipts), list(self.blocks),
        )  # fmt: skip


class FakeChain:
    """Mines at once unless `mining` is off. `script` holds failures for the next calls of a method."""

    def __init__(self) -> None:
        self.state = _State()
        self.round = 10
        self.stage = 0
        self.mining = True
        self.gas = 1000
        self.pool: dict[tuple[str, int], bytes] = {}
        self.sent: list[bytes] = []
        self.script: dict[str, list[SwarmError | None]] = {}
        self.drop_sends = False  # accepted bytes never arrive
        self.lose_replies = 0  # sends that arrive although the caller hears nothing
        self.chain_id = 1
        self.coordinator = CONTRACT
        self.preflights = 0
        self.branch = 0
        self.market_tells = False  # our own market shows bets and refuses a second one, upstream's need not
        self.finalised: int | None = None  # nonce of the account in the last finalised block; None: the latest one
        self.price = Fees(0, 0)
        self.money = 0
        self.open_games: set[int] = set()

    # what the outbox asks

    async def prefer_healthy(self) -> None:
        """There is one RPC."""

    async def preflight(self) -> None:
        self.preflights += 1
        self._fail("preflight")

    async def round_and_stage(self) -> RoundInfo:
        self._fail("round_and_stage")
        return RoundInfo(self.round, self.stage, len(self.state.blocks) - 1)

    async def owners(self, peer_ids: Sequence[str]) -> list[str | None]:
        self._fail("owners")
        return [self.state.owners.get(peer) for peer in peer_ids]

    async def has_reward(self, round_number: int, stage: int, peer_id: str) -> bool:
        self._fail("has_reward")
        return (round_number, stage, peer_id) in self.state.rewards

    async def votes_of(self, round_number: int, peer_id: str) -> list[str]:
        return self.state.votes.get((round_number, peer_id), [])

    async def bet_of(self, game: int, clue: int, peer_id: str) -> int | None:
        if not self.market_tells:
            return None
        return sum(bet[4] for bet in self.state.bets if bet[:3] == (game, clue, peer_id))

    async def has_claimed(self, game: int, peer_id: str) -> bool | None:
        return (game, peer_id) in self.state.claims

    async def lost_for_good(self, account: str, nonce: int, transactions: Sequence[str]) -> bool:
        self._fail("lost_for_good")
        used = self.state.nonces.get(account.lower(), 0) if self.finalised is None else self.finalised
        receipts = [self.state.receipts.get(transaction) for transaction in transactions]
        return used > nonce and not any(receipt is not None and receipt.ok for receipt in receipts)

    async def balance(self, account: str) -> int:
        self._fail("balance")
        return self.money

    async def block(self) -> BlockInfo:
        self._fail("block")
        return BlockInfo(len(self.state.blocks) - 1, self.state.blocks[-1])

    async def block_hash(self, number: int) -> str | None:
        self._fail("block_hash")
        return self.state.blocks[number] if number < len(self.state.blocks) else None

    async def nonce(self, account: str) -> int:
        self._fail("nonce")
        return self.state.nonces.get(account.lower(), 0)

    async def receipt(self, transaction: str) -> Receipt | None:
        self._fail("receipt")
        return self.state.receipts.get(transaction)

    async def fees(self) -> Fees:
        self._fail("fees")
        return self.price

    async def estimate(self, account: str, data: bytes, to: str) -> int:
        self._fail("estimate_gas")
        self._call(self.state.copy(), account, data)
        return self.gas

    async def send_raw(self, signed: bytes) -> str:
        self._fail("send_raw")
        body = json.loads(signed)
        sender, nonce = str(body["from"]), int(body["nonce"])
        self.sent.append(signed)
        if nonce < self.state.nonces.get(sender.lower(), 0):
            known = hash_of(signed) in self.state.receipts
            raise RpcRefused(-32003, "transaction already imported" if known else "nonce too low")
        held = self.pool.get((sender, nonce))
        if held == signed:
            raise RpcRefused(-32003, "already known")
        offer = body["fees"][0]
        if held is not None and (not offer or offer * 10 < json.loads(held)["fees"][0] * 11):
            raise RpcRefused(-32003, "replacement transaction underpriced")
        if offer < self.price.max_fee and self.price.max_fee:
            raise RpcRefused(-32003, "max fee per gas less than block base fee")
        if not self.drop_sends:
            self.pool[sender, nonce] = signed
            if self.mining:
                self.mine()
        if self.lose_replies > 0:
            self.lose_replies -= 1
            raise Unavailable("the connection was closed")
        return hash_of(signed)

    # what tests do to it

    def mine(self) -> None:
        """Mine what can be mined, one transaction a block."""
        progress = True
        while progress:
            progress = False
            for sender, nonce in sorted(self.pool):
                if nonce == self.state.nonces.get(sender.lower(), 0):
                    self._mine_one(sender, nonce, self.pool.pop((sender, nonce)))
                    progress = True
                    break

    def take_nonce(self, account: str = ACCOUNT) -> None:
        """Another program mines a transaction with the same key."""
        self.state.nonces[account.lower()] = self.state.nonces.get(account.lower(), 0) + 1
        self._add_block()

    def snapshot(self) -> _State:
        """The state now."""
        return self.state.copy()

    def go_back(self, to: _State) -> None:
        """The chain is as it was, and goes on another way."""
        self.state = to.copy()
        self.branch += 1
        self._add_block()

    def _mine_one(self, sender: str, nonce: int, raw: bytes) -> None:
        self.state.nonces[sender.lower()] = nonce + 1
        ok = True
        try:
            self._call(self.state, sender, bytes.fromhex(json.loads(raw)["data"]))
        except ContractError:
            ok = False
        self._add_block()
        number = len(self.state.blocks) - 1
        self.state.receipts[hash_of(raw)] = Receipt(hash_of(raw), number, self.state.blocks[-1], ok, self.gas)

    def _add_block(self) -> None:
        self.state.blocks.append(f"block {len(self.state.blocks)} of branch {self.branch}")

    def _fail(self, method: str) -> None:
        failures = self.script.get(method)
        if failures and (failure := failures.pop(0)) is not None:
            raise failure

    def _call(self, state: _State, sender: str, data: bytes) -> None:
        if not data:
            return
        signature = next(s for s in _SIGNATURES if selector(s) == data[:4])
        values = decode(argument_types(signature), data[4:])
        if signature.startswith("registerPeer"):
            self._register(state, sender, values[0])
        elif signature.startswith("submitReward"):
            self._reward(state, sender, *values)
        elif signature.startswith("guessAnswer"):
            game, peer, clue, choice, bet = values
            if self.market_tells and any(known[:3] == (game, clue, peer) for known in state.bets):
                raise ContractError("AlreadyGuessed")
            state.bets.append((game, clue, peer, choice, bet))
        elif signature.startswith("claimReward"):
            self._claim(state, *values)
        else:
            self._vote(state, sender, *values)

    def _claim(self, state: _State, game: int, peer: str) -> None:
        if game in self.open_games:
            raise ContractError("AnswerNotRevealed")
        if (game, peer) in state.claims:
            raise ContractError("AlreadyClaimed")
        state.claims.add((game, peer))

    def _register(self, state: _State, sender: str, peer: str) -> None:
        if peer in state.owners:
            raise ContractError("PeerIdAlreadyRegistered")
        state.owners[peer] = sender.lower()

    def _reward(self, state: _State, sender: str, number: int, stage: int, amount: int, peer: str) -> None:
        if number > self.round or number < self.round - 10:
            raise ContractError("InvalidRoundNumber")
        if (number, stage, peer) in state.rewards:
            raise ContractError("RewardAlreadySubmitted")
        if state.owners.get(peer) != sender.lower():
            raise ContractError("InvalidVoterPeerId")
        state.rewards[number, stage, peer] = amount

    def _vote(self, state: _State, sender: str, number: int, winners: Sequence[str], peer: str) -> None:
        if (number, peer) in state.votes:
            raise ContractError("WinnerAlreadyVoted")
        if state.owners.get(peer) != sender.lower():
            raise ContractError("InvalidVoterPeerId")
        if any(winner not in state.owners for winner in winners):
            raise ContractError("InvalidVote")
        state.votes[number, peer] = list(winners)
