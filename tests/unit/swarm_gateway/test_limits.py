"""One address gets its rate and its burst, another is not touched by it, and what is remembered is bounded."""

from __future__ import annotations

import pytest

from swarm_gateway.limits import Buckets, household


def test_burst_then_rate() -> None:
    buckets = Buckets(rate=2.0, burst=5.0)
    assert [buckets.take("a", 1, 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert buckets.take("b", 5, 0.0)
    assert buckets.take("a", 2, 1.0)
    assert not buckets.take("a", 1, 1.0)


def test_a_batch_is_paid_whole_or_not_at_all() -> None:
    buckets = Buckets(rate=1.0, burst=5.0)
    assert not buckets.take("a", 6, 0.0)
    assert buckets.take("a", 5, 0.0)


def test_what_is_remembered_is_bounded() -> None:
    buckets = Buckets(1.0, 1.0, max_addresses=10)
    for number in range(100):
        buckets.take(str(number), 1, 0.0)
    assert len(buckets) == 10


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("unix", "unix"),
    ],
)
def test_household(address: str, counted: str) -> None:
    assert household(address) == counted
