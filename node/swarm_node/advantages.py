"""Group-relative advantages, as in GRPO (arXiv 2402.03300) and TRL 1.16.

Pure functions over lists of rewards; no torch.  Works with `train`, which skips what `is_informative` refuses.
"""

import math
from collections.abc import Sequence

from swarm_node.hyper import ScaleRewards

STD_EPSILON = 1e-4  # added to the standard deviation, as TRL does
ZERO_SPREAD = 1e-8  # rewards that differ by no more than this carry no signal


def is_informative(rewards: Sequence[float]) -> bool:
    """Whether the group has a non-zero advantage, that is, whether its rewards differ."""
    return len(rewards) > 1 and max(rewards) - min(rewards) > ZERO_SPREAD


def standard_deviation(values: Sequence[float]) -> float:
    """The unbiased standard deviation (n - 1 in the denominator); 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def group_advantages(rewards: Sequence[float], deviation: float | None = None) -> list[float]:
    """Rewards minus their mean, divided by `deviation` + 1e-4; `None` leaves the scale as it is.

    An uninformative group gets exact zeros, whatever rounding does to its mean.
    Raises ValueError when a reward is not finite.
    """
    if not all(math.isfinite(reward) for reward in rewards):
        raise ValueError("a reward is not a finite number")
    if not is_informative(rewards):
        return [0.0] * len(rewards)
    mean = math.fsum(rewards) / len(rewards)
    scale = 1.0 if deviation is None else deviation + STD_EPSILON
    return [(reward - mean) / scale for reward in rewards]


def batch_advantages(groups: Sequence[Sequence[float]], scale_rewards: ScaleRewards = "group") -> list[list[float]]:
    """Advantages of every group of a round.

    `scale_rewards` as in TRL: "group" divides by the group's own standard deviation, "batch" by that of all rewards
    of the round, "none" by nothing (Dr. GRPO, arXiv 2503.20783).
    """
    if scale_rewards == "batch":
        deviation = standard_deviation([reward for rewards in groups for reward in rewards])
        return [group_advantages(rewards, deviation) for rewards in groups]
    if scale_rewards == "none":
        return [group_advantages(rewards) for rewards in groups]
    return [group_advantages(rewards, standard_deviation(rewards)) for rewards in groups]
