"""A prediction market on a test chain: a game with known secrets, peers that bet, and reads of its views."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from tests.support.chains import LocalChain

from swarm_chain import abi, calls, commitment
from swarm_chain.client import ChainClient
from swarm_chain.commitment import Leaf
from swarm_chain.errors import ContractError
from swarm_chain.market import MarketClient
from swarm_chain.records import Receipt
from swarm_chain.wallet import Wallet

STRANGER = "0x" + "77" * 20


@dataclass(frozen=True)
class Secrets:
    """What a game commits to."""

    clues: tuple[str, ...] = ("it is small", "it is even", "it is two")
    choices: tuple[str, ...] = ("1", "2", "3", "4")
    answer: int = 1
    seed: int = 0
    leaves: list[Leaf] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.clues) + 1 + len(self.choices)
        salts = [(self.seed * 1000 + number).to_bytes(32, "big") for number in range(count)]
        object.__setattr__(self, "leaves", commitment.game_leaves(self.clues, self.choices, self.answer, salts))

    @property
    def root(self) -> bytes:
        """The commitment."""
        return commitment.root_of(self.leaves)

    def proof(self, position: int) -> list[bytes]:
        """Siblings of a leaf."""
        return commitment.proof_of(self.leaves, position)

    def clue_call(self, game: int, round_index: int) -> bytes:
        """Call data that publishes a clue."""
        leaf = self.leaves[round_index]
        return calls.reveal_clue(game, round_index, leaf.text, leaf.salt, self.proof(round_index))

    def answer_call(self, game: int) -> bytes:
        """Call data that publishes the answer."""
        position = len(self.clues)
        leaf = self.leaves[position]
        return calls.reveal_answer(game, leaf.index, leaf.text, leaf.salt, self.proof(position))


class MarketHost:
    """A market, its game master, and three accounts: `alice` owns a1 and a2, `bob` b1, `carol` c1."""

    def __init__(self, chain: LocalChain, client: ChainClient) -> None:
        self.client = client
        self.market = MarketClient(client)
        self.master = chain.role(client, "game-master")
        self.alice, self.bob, self.carol = (Wallet(client, bytes([number] * 32)) for number in (21, 22, 23))

    async def set_up(self) -> None:
        """Register the peers."""
        for wallet, peer in ((self.alice, "a1"), (self.alice, "a2"), (self.bob, "b1"), (self.carol, "c1")):
            await wallet.send(calls.register_peer(peer))

    async def send(self, wallet: Wallet, data: bytes) -> Receipt:
        """A transaction to the market."""
        return await wallet.send_to(self.market.address, data)

    async def new_game(self, secrets: Secrets | None = None) -> int:
        """Open a game; without secrets one without a commitment."""
        rounds, choices = (len(secrets.clues), len(secrets.choices)) if secrets else (3, 4)
        await self.send(self.master, calls.create_game(rounds, choices, secrets.root if secrets else bytes(32)))
        return await self.market.game_count() - 1

    async def bet(self, wallet: Wallet, peer: str, game: int, round_index: int, choice: int, amount: int) -> Receipt:
        """A bet of a peer."""
        return await self.send(wallet, calls.guess_answer(game, peer, round_index, choice, amount))

    async def next_round(self, game: int, times: int = 1) -> None:
        """End rounds."""
        for _ in range(times):
            await self.send(self.master, calls.increment_round(game))

    async def read(self, signature: str, *arguments: object) -> object:
        """The answer of a view."""
        data = abi.encode_call(signature, *arguments)
        result = abi.decode_result(signature, await self.client.simulate(STRANGER, data, self.market.address))
        return result[0] if len(result) == 1 else result

    async def refuses(self, wallet: Wallet | str, name: str, data: bytes) -> None:
        """The call from this account reverts with exactly this error."""
        account = wallet if isinstance(wallet, str) else wallet.address
        with pytest.raises(ContractError) as told:
            await self.client.simulate(account, data, self.market.address)
        assert told.value.name == name
