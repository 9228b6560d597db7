"""The prediction market, read over JSON-RPC. Works with `client`, which knows its address and holds the connection.

Amounts are whole bet tokens; choice tokens and prices have 18 decimals. Rules: `docs/market.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from swarm_chain import abi
from swarm_chain.client import ChainClient
from swarm_chain.errors import NoDeployment
from swarm_chain.rpc import Call, hex_bytes


class GameStatus(IntEnum):
    """`IPRG.GameStatus`: bets are taken, bets are over, winners may claim, bets are given back."""

    NONE = 0
    OPEN = 1
    CLOSED = 2
    REVEALED = 3
    REFUNDABLE = 4


@dataclass(frozen=True)
class Game:
    """A game as the chain shows it. `round` equals `rounds` once bets are over; `answer` is None until revealed.

    `deadline`: seconds since 1970 after which it is refunded. `pool`: all bets; `paid`: what was claimed of it.
    """

    index: int
    status: GameStatus
    root: bytes
    rounds: int
    choices: int
    round: int
    deadline: int
    answer: int | None
    pool: int
    paid: int


@dataclass(frozen=True)
class Bet:
    """What a peer bet in a round."""

    choice: int
    amount: int


class MarketClient:
    """The market beside the coordinator of `client`. Methods raise what those of ChainClient raise.

    NoDeployment (an Unavailable) when there is no market (yet), ContractError `NoSuchGame` for unknown games.
    """

    def __init__(self, client: ChainClient) -> None:
        self._client = client

    @property
    def address(self) -> str:
        """0x and 40 lower-case digits."""
        market = self._client.market
        if market is None:
            raise NoDeployment("This swarm has no prediction market: set SWARM_MARKET if it should have one.")
        return market

    async def game_count(self) -> int:
        """How many games there are; the last one is the current game."""
        return int(await self._read("gameCount()"))

    async def game_of_root(self, root: bytes) -> int | None:
        """The game that was created with this root (32 bytes)."""
        (found,) = await self._batch([("gameOfRoot(bytes32)", root)])
        return int(found[1]) if found[0] else None

    async def game(self, index: int) -> Game:
        """One game, read in one request."""
        signatures = ("gameStatus", "choiceCount", "currentRoundIdx", "totalBets", "totalClaimed", "gameInfo")
        answers = await self._batch([(f"{name}(uint256)", index) for name in signatures])
        (status,), (choices,), (round_index,), (pool,), (paid,), (root, rounds, deadline, revealed, answer) = answers
        return Game(
            index=index,
            status=GameStatus(status),
            root=bytes(root),
            rounds=int(rounds),
            choices=int(choices),
            round=int(round_index),
            deadline=int(deadline),
            answer=int(answer) if revealed else None,
            pool=int(pool),
            paid=int(paid),
        )

    async def is_clue_revealed(self, game: int, round_index: int) -> bool:
        """Whether the clue of a round is on chain."""
        return bool(await self._read("isClueRevealed(uint256,uint256)", game, round_index))

    async def supplies(self, game: int, choices: int) -> list[int]:
        """Choice tokens of each choice: their ratio is what the market believes."""
        answers = await self._batch([("choiceSupply(uint256,uint256)", game, index) for index in range(choices)])
        return [int(answer[0]) for answer in answers]

    async def bet_token_balance(self, peer_id: str) -> int:
        """What the peer may still bet in the current game."""
        return int(await self._read("betTokenBalance(string)", peer_id))

    async def bet_of(self, game: int, round_index: int, peer_id: str) -> Bet | None:
        """The peer's bet in a round, None when it made none."""
        ((amount, choice),) = await self._batch([("guessOf(uint256,uint256,string)", game, round_index, peer_id)])
        return Bet(choice=int(choice), amount=int(amount)) if amount else None

    async def holding(self, game: int, choice: int, peer_id: str) -> tuple[int, int]:
        """Tokens of a choice that the peer holds, and all of them."""
        held, supply = await self._batch(
            [("choiceTokenBalance(uint256,uint256,string)", game, choice, peer_id),
             ("choiceSupply(uint256,uint256)", game, choice)]
        )  # fmt: skip
        return int(held[0]), int(supply[0])

    async def spent(self, game: int, peer_id: str) -> int:
        """What the peer bet in a game, all rounds together."""
        return int(await self._read("betTokensSpent(uint256,string)", game, peer_id))

    async def has_claimed(self, game: int, peer_id: str) -> bool:
        """Whether winnings or refund of the peer were taken."""
        return bool(await self._read("hasClaimed(uint256,string)", game, peer_id))

    async def claimable(self, game: int, peer_id: str) -> int:
        """What a claim would pay now. Raises ContractError `AnswerNotRevealed` while the game goes on."""
        return int(await self._read("claimable(uint256,string)", game, peer_id))

    async def total_paid(self, peer_id: str) -> int:
        """What the peer was paid in all games together."""
        return int(await self._read("totalPaid(string)", peer_id))

    async def simulate(self, account: str, data: bytes) -> bytes:
        """Run a call to the market from `account` without a transaction. Raises ContractError if it reverts."""
        return await self._client.simulate(account, data, self.address)

    async def _read(self, signature: str, *arguments: Any) -> Any:
        (answer,) = await self._batch([(signature, *arguments)])
        return answer[0]

    async def _batch(self, calls: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        requests: list[Call] = []
        for call in calls:
            data = "0x" + abi.encode_call(*call).hex()
            requests.append(("eth_call", [{"to": self.address, "data": data}, "latest"]))
        answers = await self._client.rpc.batch(requests)
        return [abi.decode_result(call[0], hex_bytes(answer)) for call, answer in zip(calls, answers, strict=True)]
