"""The audit log: newest first, bounded, and a flood of refusals cannot fill it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.fake_chain import FakeClock

from login_proxy.access import audit
from login_proxy.access.audit import EVENTS, Audit
from login_proxy.access.store import AccessStore
from login_proxy.texts.access import EVENTS as WORDS


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def log(tmp_path: Path, clock: FakeClock) -> Audit:
    return Audit(AccessStore(tmp_path / "access.sqlite", clock))


def test_newest_first(log: Audit) -> None:
    log.add("claimed", "password", "10.0.0.1")
    log.add("signed_out")
    assert [(e.event, e.detail, e.address) for e in log.newest(9)] == [
        ("signed_out", "", ""), ("claimed", "password", "10.0.0.1"),
    ]  # fmt: skip
    assert len(log.newest(1)) == 1


def test_a_flood_of_refusals_is_one_row_a_second(log: Audit, clock: FakeClock) -> None:
    for _ in range(500):
        log.add("sign_in_refused", "wrong password", "10.0.0.1")
    assert len(log.newest(9)) == 1
    log.add("signed_in", "password")
    clock.now += 1.0
    log.add("sign_in_refused", "wrong password")
    assert [e.detail for e in log.newest(9)] == [
        "wrong password (and 499 refusals before)", "password", "wrong password",
    ]  # fmt: skip


def test_old_rows_go(log: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_MAX_ROWS", 5)
    for number in range(20):
        log.add("signed_in", str(number))
    assert [e.detail for e in log.newest(99)] == ["19", "18", "17", "16", "15"]


def test_every_event_has_words() -> None:
    assert set(EVENTS) == set(WORDS)
