"""Sessions: only hashes are stored, they survive restarts, and they end when idle, old or signed out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from tests.support.fake_chain import FakeClock

from login_proxy.access.sessions import ABSOLUTE_SECONDS, IDLE_SECONDS, Sessions
from login_proxy.access.store import AccessStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> AccessStore:
    return AccessStore(tmp_path / "access.sqlite", clock)


def test_a_session_is_known_by_its_token_only_and_survives_a_restart(
    store: AccessStore, clock: FakeClock, tmp_path: Path
) -> None:
    token = Sessions(store, clock).start()
    assert len(token) >= 43, "256 bits"
    store.close()
    again = AccessStore(tmp_path / "access.sqlite", clock)
    sessions = Sessions(again, clock)
    assert sessions.is_valid(token)
    for wrong in (None, "", token[:-1], token + "x", "x" * 10_000, token.swapcase()):
        assert not sessions.is_valid(wrong)
    again.close()
    assert token.encode() not in (tmp_path / "access.sqlite").read_bytes()


def test_two_sessions_end_apart(store: AccessStore, clock: FakeClock) -> None:
    sessions = Sessions(store, clock)
    one, two = sessions.start(), sessions.start()
    assert one != two
    sessions.end(one)
    sessions.end(None)
    sessions.end("x" * 10_000)
    assert (sessions.is_valid(one), sessions.is_valid(two)) == (False, True)


def test_an_idle_session_ends_and_use_keeps_it(store: AccessStore, clock: FakeClock) -> None:
    sessions = Sessions(store, clock)
    used, idle = sessions.start(), sessions.start()
    clock.now += IDLE_SECONDS - 1
    assert sessions.is_valid(used)
    clock.now += 2
    assert not sessions.is_valid(idle)
    assert sessions.is_valid(used)


def test_no_use_keeps_a_session_for_ever(store: AccessStore, clock: FakeClock) -> None:
    sessions = Sessions(store, clock)
    token = sessions.start()
    end = clock.now + ABSOLUTE_SECONDS
    while clock.now + IDLE_SECONDS / 2 < end:
        clock.now += IDLE_SECONDS / 2
        assert sessions.is_valid(token)
    clock.now = end + 1
    assert not sessions.is_valid(token)


def test_starting_a_session_clears_away_dead_ones(store: AccessStore, clock: FakeClock, tmp_path: Path) -> None:
    sessions = Sessions(store, clock)
    sessions.start()
    clock.now += IDLE_SECONDS + 1
    sessions.start()
    with sqlite3.connect(tmp_path / "access.sqlite") as database:
        assert database.execute("SELECT count(*) FROM sessions").fetchone() == (1,)
    database.close()
