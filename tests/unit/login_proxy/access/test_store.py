"""The owner's methods: one owner, several ways in, never none, and what 0.1.0 wrote still opens."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from login_proxy.access.methods import MAX_METHODS, NewMethod
from login_proxy.access.schema import MIGRATIONS
from login_proxy.access.store import AccessStore, LastMethod

PASSWORD = NewMethod("password", secret="hash")
PASSKEY = NewMethod("passkey", "phone", None, b"id", b"key", 0, "localhost")
WALLET = NewMethod("wallet", secret="0xA")


@pytest.fixture
def store(tmp_path: Path) -> AccessStore:
    return AccessStore(tmp_path / "access.sqlite")


def test_a_node_is_claimed_once(store: AccessStore) -> None:
    assert not store.claimed()
    assert store.claim(PASSKEY, b"handle")
    assert not store.claim(PASSWORD)
    assert [method.what for method in store.methods()] == [PASSKEY]
    assert store.user_handle() == b"handle"
    assert store.password_hash() is None


def test_the_last_method_stays(store: AccessStore) -> None:
    store.claim(PASSWORD)
    (first,) = store.methods()
    with pytest.raises(LastMethod):
        store.remove(first.id)
    assert store.add(WALLET)
    removed = store.remove(first.id)
    assert removed is not None
    assert removed.what == PASSWORD
    assert store.remove(first.id) is None
    (left,) = store.methods()
    with pytest.raises(LastMethod):
        store.remove(left.id)


def test_a_new_password_takes_the_place_of_the_old_one(store: AccessStore) -> None:
    store.claim(PASSWORD)
    assert store.add(NewMethod("password", secret="another"))
    assert [method.what.secret for method in store.methods()] == ["another"]


def test_the_same_passkey_or_wallet_is_known_once_and_the_number_is_bounded(store: AccessStore) -> None:
    store.claim(PASSWORD)
    assert store.add(PASSKEY)
    assert not store.add(PASSKEY)
    assert store.add(WALLET)
    assert not store.add(WALLET)
    added = [store.add(NewMethod("wallet", secret=f"0x{n}")) for n in range(MAX_METHODS)]
    assert added.count(True) == MAX_METHODS - 3
    assert len(store.methods()) == MAX_METHODS


def test_the_counter_of_a_passkey_is_remembered(store: AccessStore) -> None:
    store.claim(PASSKEY)
    store.used(store.methods()[0].id, 7)
    (method,) = store.methods()
    assert (method.what.sign_count, method.used_at is not None) == (7, True)


def test_a_reset_forgets_owner_methods_and_sessions(store: AccessStore) -> None:
    store.claim(PASSWORD)
    store.add_session(b"session")
    assert store.reset()
    assert not store.reset()
    assert (store.claimed(), store.methods(), store.sessions(), store.user_handle()) == (False, [], [], None)


def test_what_version_1_wrote_opens_with_owner_and_sessions(tmp_path: Path) -> None:
    path = tmp_path / "access.sqlite"
    with sqlite3.connect(path) as old:
        old.executescript(MIGRATIONS[0])
        old.execute("INSERT INTO owner VALUES (1, 'old hash', 5.0)")
        old.execute("INSERT INTO sessions VALUES (x'0a', 1.0, 2.0)")
        old.execute("PRAGMA user_version=1")
    old.close()
    store = AccessStore(path)
    assert store.claimed()
    assert store.password_hash() == "old hash"
    session = store.session(b"\x0a")
    assert session is not None
    assert (session.created_at, session.seen_at, session.proved_at) == (1.0, 2.0, 0.0)
    assert len(store.user_handle() or b"") == 32
