"""The wallet's line: the lowest free numbers, gaps first, and when the line is stuck."""

from __future__ import annotations

import pytest

from login_proxy.outbox.nonces import is_stuck, take


@pytest.mark.parametrize(
    ("mined", "held", "count", "numbers"),
    [
        (0, [], 3, [0, 1, 2]),
        (5, [], 2, [5, 6]),
        (5, [5, 6], 2, [7, 8]),
        (5, [6, 8], 3, [5, 7, 9]),
        (5, [1, 2], 1, [5]),
        (5, [5], 0, []),
    ],
)
def test_the_lowest_free_numbers_are_taken(mined: int, held: list[int], count: int, numbers: list[int]) -> None:
    assert take(mined, held, count) == numbers


@pytest.mark.parametrize(
    ("mined", "held", "stuck"),
    [(5, [], False), (5, [5, 6], False), (5, [6], True), (5, [4], False), (5, [4, 7], True), (6, [6], False)],
)
def test_a_line_is_stuck_when_nobody_holds_its_head(mined: int, held: list[int], stuck: bool) -> None:
    assert is_stuck(mined, held) is stuck
