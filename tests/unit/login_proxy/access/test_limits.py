"""Rate limits: a burst, then a rate; each address and each kind for itself; bounded in number."""

from __future__ import annotations

import pytest
from tests.support.fake_chain import FakeClock

from login_proxy.access import limits
from login_proxy.access.limits import RATES, Limits, network_of


def test_a_burst_then_the_rate() -> None:
    clock = FakeClock()
    bucket, rate = Limits(clock), RATES["password"]
    assert [bucket.wait("password", "10.0.0.1") for _ in range(int(rate.burst))] == [0.0] * int(rate.burst)
    wait = bucket.wait("password", "10.0.0.1")
    assert 0 < wait <= 1 / rate.per_second
    clock.now += wait
    assert bucket.wait("password", "10.0.0.1") == 0.0
    assert bucket.wait("password", "10.0.0.1") > 0


def test_addresses_and_kinds_do_not_share() -> None:
    bucket = Limits(FakeClock())
    while bucket.wait("password", "10.0.0.1") == 0.0:
        pass
    assert bucket.wait("password", "10.0.0.2") == 0.0
    assert bucket.wait("proof", "10.0.0.1") == 0.0, "guessing passwords does not close the door for passkeys"


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"), ("2001:db8::1", "2001:db8::/64"), ("2001:db8::ffff:1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"), ("::ffff:10.0.0.1", "10.0.0.1"), ("", ""), ("x" * 99, "x" * 64),
    ],
)  # fmt: skip
def test_what_counts_as_one_visitor(address: str, network: str) -> None:
    assert network_of(address) == network


def test_a_flood_of_addresses_costs_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MAX_BUCKETS", 10)
    bucket = Limits(FakeClock())
    for number in range(100):
        bucket.wait("proof", f"10.0.0.{number}")
    assert len(bucket._buckets) == 10
