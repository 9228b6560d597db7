"""The wallet's line of nonces: which numbers new transactions take. Pure; works with `delivery`.

A nonce is held by the intent whose newest signed transaction has it. New transactions take the lowest free numbers,
so that a gap (a number that nobody will ever send) is filled first and what waits behind it can be mined.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeAlias

Held: TypeAlias = Collection[int]


def take(mined: int, held: Held, count: int) -> list[int]:
    """The `count` lowest free nonces. `mined` is how many transactions of the account are mined."""
    taken, number = set(held), mined
    free: list[int] = []
    while len(free) < count:
        if number not in taken:
            free.append(number)
        number += 1
    return free


def is_stuck(mined: int, held: Held) -> bool:
    """Whether held nonces wait behind a number that nobody holds."""
    waiting = [number for number in held if number >= mined]
    return bool(waiting) and mined not in waiting
