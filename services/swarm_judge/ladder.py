"""The difficulty ladder: which reasoning-gym datasets are asked on which level; level 0 suits the embedded model.

Every peer climbs the same ladder in turn (its k-th question is of level k modulo the number of levels), so scores of
different peers compare, and nobody gains by staying low. Only datasets with an audited scorer (`swarm_gym.scoring`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Dataset = tuple[str, Mapping[str, Any]]


def _sums(terms: int, digits: int) -> dict[str, Any]:
    return {"min_terms": terms, "max_terms": terms, "min_digits": digits, "max_digits": digits}


def _numbers(count: int, largest: int) -> dict[str, Any]:
    return {"min_numbers": count, "max_numbers": count, "min_value": 1, "max_value": largest}


def _level(terms: int, digits: int, base: int, value: int, largest: int) -> tuple[Dataset, ...]:
    return (
        ("chain_sum", _sums(terms, digits)),
        # from 1: reasoning-gym writes a zero in other bases as no digit at all
        ("base_conversion", {"min_base": 2, "max_base": base, "min_value": 1, "max_value": value}),
        ("count_bits", {"min_n": 1, "max_n": value}),
        ("gcd", _numbers(2, largest)),
        ("lcm", _numbers(2, max(10, largest // 2))),
        ("products", _sums(2, digits)),
    )


LEVELS: tuple[tuple[Dataset, ...], ...] = (
    _level(2, 1, 4, 31, 20),
    _level(3, 1, 8, 255, 60),
    _level(3, 2, 10, 4095, 200),
    _level(4, 3, 16, 1_000_000, 1000),
)
