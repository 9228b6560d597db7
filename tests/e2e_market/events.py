"""The market's events and commitments, read and recomputed without any code of the product.

Rules as in docs/market.md: a bet in round r buys bet / (r + 1) choice tokens; the pool of all bets is shared among the
tokens of the right choice, rounded down; a game that nobody won gives every bet back.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.crypto import keccak

ONE = 10**18
EVENTS: dict[str, tuple[str, int]] = {  # data types, number of indexed uint256
    "NewGameCreated(uint256,uint256,uint256,uint256)": ("uint256,uint256,uint256", 1),
    "NewGuess(uint256,address,string,uint256,uint256,uint256)": ("address,string,uint256,uint256,uint256", 1),
    "RewardClaimed(uint256,address,string,uint256,uint256)": ("address,string,uint256,uint256", 1),
    "AnswerRevealed(uint256,uint256,uint256)": ("uint256,uint256", 1),
    "ClueRevealed(uint256,uint256,string,bytes32)": ("string,bytes32", 2),
    "AnswerProven(uint256,uint256,string,bytes32)": ("uint256,string,bytes32", 1),
}
TOPICS = {"0x" + bytes(keccak(text=name)).hex(): name for name in EVENTS}


@dataclass
class Game:
    """One game as its events tell it."""

    rounds: int = 0
    choices: int = 0
    created: int = 0
    bets: list[tuple[str, int, int, int]] = field(default_factory=list)  # peer, round, choice, tokens bet
    clues: dict[int, tuple[str, bytes]] = field(default_factory=dict)
    answers: list[int] = field(default_factory=list)
    proven: tuple[int, str, bytes] | None = None
    claims: list[tuple[str, int]] = field(default_factory=list)  # peer, bet tokens paid

    def payouts(self) -> dict[str, int]:
        """What the rules give each peer; peers that get nothing are left out."""
        (answer,) = self.answers
        held: Counter[str] = Counter()
        for peer, number, choice, bet in self.bets:
            if choice == answer:
                held[peer] += bet * ONE // (number + 1)
        pool, supply = sum(bet[3] for bet in self.bets), sum(held.values())
        if supply == 0:
            back: Counter[str] = Counter()
            for peer, _, _, bet in self.bets:
                back[peer] += bet
            return dict(back)
        return {peer: share for peer, tokens in held.items() if (share := pool * tokens // supply)}


def read_logs(logs: list[dict[str, Any]], games: dict[int, Game]) -> None:
    """Enter events into `games`."""
    for log in logs:
        name = TOPICS.get(log["topics"][0])
        if name is None:
            continue
        types, indexed = EVENTS[name]
        keys = [int(topic, 16) for topic in log["topics"][1 : 1 + indexed]]
        values = decode(types.split(","), bytes.fromhex(log["data"][2:]))
        _enter(games.setdefault(keys[0], Game()), name.partition("(")[0], keys, values)


def _enter(game: Game, name: str, keys: list[int], values: tuple[Any, ...]) -> None:
    if name == "NewGameCreated":
        game.rounds, game.choices, game.created = values[0], values[1], game.created + 1
    elif name == "NewGuess":
        game.bets.append((values[1], values[2], values[3], values[4]))
    elif name == "RewardClaimed":
        game.claims.append((values[1], values[3]))
    elif name == "AnswerRevealed":
        game.answers.append(values[0])
    elif name == "ClueRevealed":
        assert keys[1] not in game.clues, "a clue was revealed twice"
        game.clues[keys[1]] = (values[0], values[1])
    else:
        game.proven = (values[0], values[1], values[2])


def opens(root: bytes, position: int, index: int, text: str, salt: bytes, proof: list[bytes]) -> bool:
    """Whether the tree under `root` holds this text at this place."""
    node = bytes(keccak(encode(["uint256", "uint256", "string", "bytes32"], [position, index, text, salt])))
    for level, sibling in enumerate(proof):
        node = bytes(keccak(sibling + node if position >> level & 1 else node + sibling))
    return node == root
