"""Proves: an interval holds the mean, shrinks with more answers, and covers the truth at least as often as it says."""

from __future__ import annotations

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_judge.intervals import CONFIDENCE, interval


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_the_mean_lies_inside_and_all_within_the_possible(count: int, share: float) -> None:
    found = interval(share * count, count)
    assert 0.0 <= found.low <= found.mean <= found.high <= 1.0


def test_nothing_is_known_without_answers_and_more_with_more() -> None:
    assert (interval(0, 0).low, interval(0, 0).high) == (0.0, 1.0)
    widths = [interval(0.7 * n, n).high - interval(0.7 * n, n).low for n in (10, 100, 1000, 10_000)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.03


@pytest.mark.parametrize("count", [5, 20, 60, 150])
@pytest.mark.parametrize("truth", [0.01, 0.1, 0.3, 0.5, 0.77, 0.95, 0.99])
def test_exact_coverage_is_about_the_confidence_also_for_extreme_scores(count: int, truth: float) -> None:
    covered = 0.0
    for right in range(count + 1):
        found = interval(right, count)
        if found.low <= truth <= found.high:
            covered += comb(count, right) * truth**right * (1 - truth) ** (count - right)
    assert covered >= CONFIDENCE - 0.01
