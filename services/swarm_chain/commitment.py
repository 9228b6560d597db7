"""The commitment to a game: a Merkle tree over its clues, its answer and its choices, as the market checks it.

Leaf `r` is the clue of round r, leaf `rounds` the answer (its index is the right choice), leaf `rounds + 1 + c` choice
c. Leaves keep their places and the tree is filled up with zero leaves, so a root fixes exactly one text for each place.
`tests/integration/swarm_chain/test_market.py` compares it with the contract's `verify`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eth_abi.abi import encode
from eth_utils.crypto import keccak

_EMPTY = bytes(32)


@dataclass(frozen=True)
class Leaf:
    """One committed text. `index`: the round of a clue, the number of a choice; `salt`: 32 random bytes."""

    position: int
    index: int
    text: str
    salt: bytes

    def hash(self) -> bytes:
        """What stands in the tree."""
        return bytes(keccak(encode(["uint256", "uint256", "string", "bytes32"], self._fields())))

    def _fields(self) -> list[object]:
        return [self.position, self.index, self.text, self.salt]


def game_leaves(clues: Sequence[str], choices: Sequence[str], answer: int, salts: Sequence[bytes]) -> list[Leaf]:
    """All leaves of a game in their places; `salts` are one more than clues and choices together."""
    texts = [(index, clue) for index, clue in enumerate(clues)]
    texts.append((answer, choices[answer]))
    texts += list(enumerate(choices))
    return [
        Leaf(position, index, text, salt)
        for position, ((index, text), salt) in enumerate(zip(texts, salts, strict=True))
    ]


def root_of(leaves: Sequence[Leaf]) -> bytes:
    """The commitment, 32 bytes."""
    return _levels(leaves)[-1][0]


def proof_of(leaves: Sequence[Leaf], position: int) -> list[bytes]:
    """The siblings of a leaf, from the bottom up, 32 bytes each."""
    return [level[(position >> depth) ^ 1] for depth, level in enumerate(_levels(leaves)[:-1])]


def is_proven(root: bytes, leaf: Leaf, proof: Sequence[bytes]) -> bool:
    """Whether a root commits to this leaf at its place."""
    node = leaf.hash()
    for depth, sibling in enumerate(proof):
        node = _node(sibling, node) if (leaf.position >> depth) & 1 else _node(node, sibling)
    return node == root


def _levels(leaves: Sequence[Leaf]) -> list[list[bytes]]:
    level = [leaf.hash() for leaf in leaves]
    width = 1 << (len(level) - 1).bit_length()
    levels = [level + [_EMPTY] * (width - len(level))]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([_node(below[i], below[i + 1]) for i in range(0, len(below), 2)])
    return levels


def _node(left: bytes, right: bytes) -> bytes:
    return bytes(keccak(left + right))
