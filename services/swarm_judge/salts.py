"""Questions that nobody can predict and everybody can check afterwards.

Each round has a secret salt, derived from the judge's master secret. The n-th question of a level is made from seeds
that the salt determines; while the round runs only the salt's SHA-256 is published, afterwards the salt itself. Then
anybody makes the same questions again, and sees that the judge chose none of them for anybody.
"""

from __future__ import annotations

import hashlib
import hmac

from swarm_gym.pool import Question
from swarm_judge.ladder import LEVELS

CANDIDATES = 24  # one question in five is held out: all of these on the wrong side happens once in 200 draws
_SEED_BYTES = 4


def salt_of(master: bytes, round_number: int) -> bytes:
    """The salt of a round, 32 bytes."""
    return hmac.digest(master, f"rl-swarm judge salt {round_number}".encode(), "sha256")


def commitment_of(salt: bytes) -> str:
    """What is published while the round runs."""
    return hashlib.sha256(salt).hexdigest()


def candidates(salt: bytes, level: int, number: int) -> list[Question]:
    """Seeds in the order in which they are tried; the first held-out question is asked."""
    found = []
    for attempt in range(CANDIDATES):
        digest = hmac.digest(salt, f"{level}/{number}/{attempt}".encode(), "sha256")
        name, params = LEVELS[level][digest[0] % len(LEVELS[level])]
        found.append(Question(name, int.from_bytes(digest[1 : 1 + _SEED_BYTES], "big"), params))
    return found
