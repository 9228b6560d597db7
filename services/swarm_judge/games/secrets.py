"""Makes a game: a question, clues from vague to telling, choices, and the salts of its commitment.

The question is one of reasoning-gym's with an integer answer. The last clue is the question itself; earlier ones narrow
the answer down. Choices are the answer and numbers near it, so that a clue leaves several of them possible.
"""

from __future__ import annotations

import json
import random
import secrets
from dataclasses import asdict, dataclass

from swarm_chain.commitment import Leaf, game_leaves, proof_of, root_of
from swarm_gym.pool import Question, ScorerPool
from swarm_judge.ladder import LEVELS

_INTEGER_DATASETS = ("chain_sum", "count_bits", "gcd", "lcm", "products")
_LEVELS = (0, 1)  # hard enough that a clue is worth something, easy enough that a small model has a chance
_TRIES = 50


@dataclass(frozen=True)
class GameSecrets:
    """What a game commits to; `salts` are hexadecimal, one per leaf."""

    question: str
    clues: tuple[str, ...]
    choices: tuple[str, ...]
    answer: int
    salts: tuple[str, ...]

    def leaves(self) -> list[Leaf]:
        """Leaves of the commitment, in their places."""
        return game_leaves(self.clues, self.choices, self.answer, [bytes.fromhex(salt) for salt in self.salts])

    @property
    def root(self) -> bytes:
        """The commitment, 32 bytes."""
        return root_of(self.leaves())

    def opening(self, position: int) -> tuple[Leaf, list[bytes]]:
        """A leaf and its proof."""
        leaves = self.leaves()
        return leaves[position], proof_of(leaves, position)

    def to_json(self) -> str:
        """As stored."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> GameSecrets:
        """What `to_json` wrote."""
        raw = json.loads(text)
        return cls(raw["question"], tuple(raw["clues"]), tuple(raw["choices"]), int(raw["answer"]), tuple(raw["salts"]))


async def make_game(pool: ScorerPool, rounds: int, choices: int) -> GameSecrets:
    """A new game from the system's randomness. Raises Unavailable when the pool cannot make questions."""
    rng = random.Random(secrets.token_bytes(32))
    for _ in range(_TRIES):
        name, params = rng.choice([item for level in _LEVELS for item in LEVELS[level] if item[0] in _INTEGER_DATASETS])
        ((text, key),) = await pool.make([Question(name, rng.getrandbits(32), params)])
        if key.lstrip("-").isdigit():
            return compose(text, int(key), rounds, choices, rng)
    raise ValueError("no dataset gave an integer answer")


def compose(question: str, answer: int, rounds: int, choices: int, rng: random.Random) -> GameSecrets:
    """The game around a question; every draw comes from `rng` but the salts."""
    spread = max(8, 2 * choices, abs(answer))
    near = [answer + step for step in range(-spread, spread + 1) if step and (answer < 0 or answer + step >= 0)]
    options = [answer, *rng.sample(near, choices - 1)]
    rng.shuffle(options)
    texts = tuple(str(option) for option in options)
    leaves = rounds + 1 + choices
    return GameSecrets(
        question=question,
        clues=tuple(_clue(question, answer, options, number, rounds) for number in range(rounds)),
        choices=texts,
        answer=options.index(answer),
        salts=tuple(secrets.token_hex(32) for _ in range(leaves)),
    )


def _clue(question: str, answer: int, options: list[int], number: int, rounds: int) -> str:
    if number == rounds - 1:
        return f"The question is: {question}"
    if number == 0:
        return f"The answer to a hidden question is one of these numbers: {', '.join(map(str, options))}."
    if number == 1:
        return f"The answer to the hidden question is an {'odd' if answer % 2 else 'even'} number."
    middle = sorted(options)[len(options) // 2]
    side = "at least" if answer >= middle else "smaller than"
    return f"The answer to the hidden question is {side} {middle}."
