"""How sure a score is: Wilson's interval with continuity correction (Newcombe 1998, method 4).

For scores in [0, 1] that are not only 0 or 1 it is too wide rather than too narrow, as no such variable varies more
than a yes/no one of the same mean. `tests/integration/swarm_judge/test_seasons.py` measures how often it is right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.99


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds of what the true mean may be, all in [0, 1]."""

    mean: float
    low: float
    high: float


def interval(total: float, count: int, confidence: float = CONFIDENCE) -> Interval:
    """The interval of the mean of `count` scores that sum up to `total`; [0, 1] without any score."""
    if count == 0:
        return Interval(0.0, 0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    p = min(max(total / count, 0.0), 1.0)
    low, high = _lower(p, count, z), 1.0 - _lower(1.0 - p, count, z)
    return Interval(p, low, high)


def _lower(p: float, n: int, z: float) -> float:
    if p * n <= 0.5:
        return 0.0
    root = z * math.sqrt(max(z * z - 2 - 1 / n + 4 * p * (n * (1 - p) + 1), 0.0))
    return max(0.0, (2 * n * p + z * z - 1 - root) / (2 * (n + z * z)))
