"""A restore keeps what it replaces, hands the peer key to the daemon, and ends the mark of a move."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.support.keys import quick_key

from login_proxy import keystore as keystore_module
from login_proxy.backup.bundle import Identity
from login_proxy.backup.vault import Vault
from login_proxy.keystore import Keystore
from swarm_core.errors import FatalError
from swarm_core.identity import parse_key
from swarm_dht.key_file import load_or_create, take_incoming

OLD_PEER, NEW_PEER = quick_key(1), quick_key(2)
NEW = Identity(NEW_PEER, b"\x11" * 32)


@pytest.fixture
def keystore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keystore:
    monkeypatch.setattr(keystore_module, "_ITERATIONS", 2)
    for name in ("keys/account", "keys/peer", "state"):
        (tmp_path / name).mkdir(parents=True)
    return Keystore(tmp_path / "keys/account", tmp_path / "state/unlock.secret")


@pytest.fixture
def vault(tmp_path: Path, keystore: Keystore) -> Vault:
    return Vault(tmp_path / "keys", tmp_path / "state", keystore)


def test_an_empty_volume_has_no_identity(vault: Vault) -> None:
    assert vault.read() == Identity(None, None)
    assert vault.peer_id() is None
    assert vault.replace(NEW) is None


def test_a_restore_gives_the_identity_and_keeps_the_old_one(vault: Vault, keystore: Keystore, tmp_path: Path) -> None:
    (tmp_path / "keys/peer/swarm.pem").write_bytes(OLD_PEER)
    old = keystore.create()
    assert vault.read() == Identity(OLD_PEER, bytes(old.key))
    kept = vault.replace(NEW)
    assert kept is not None
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert (kept / "swarm.pem").read_bytes() == OLD_PEER
    assert stat.S_IMODE((kept / "swarm.pem").stat().st_mode) == 0o600
    assert Keystore(kept, keystore.secret_file).load().address == old.address
    assert keystore.load().address == NEW.account
    assert vault.peer_id() == parse_key(OLD_PEER).peer_id, "the daemon swaps it"
    assert take_incoming(tmp_path / "keys/peer") == NEW.peer_id
    assert load_or_create(tmp_path / "keys/peer").peer_id == vault.peer_id() == NEW.peer_id
    assert vault.read() == NEW


def test_a_part_alone_leaves_the_other(vault: Vault, keystore: Keystore, tmp_path: Path) -> None:
    (tmp_path / "keys/peer/swarm.pem").write_bytes(OLD_PEER)
    keystore.create()
    vault.replace(Identity(None, NEW.account_key))
    assert not (tmp_path / "keys/peer/incoming.pem").exists()
    assert vault.read() == Identity(OLD_PEER, NEW.account_key)
    vault.replace(Identity(NEW_PEER, None))
    assert keystore.load().address == NEW.account


def test_the_mark_of_a_move(vault: Vault) -> None:
    assert not vault.moved
    vault.mark_moved(True)
    assert vault.moved
    vault.mark_moved(False)
    vault.mark_moved(False)
    assert not vault.moved
    vault.mark_moved(True)
    vault.replace(NEW)
    assert not vault.moved


def test_the_banner_is_for_an_identity_that_was_never_backed_up(vault: Vault, tmp_path: Path) -> None:
    assert not vault.backup_missing(None)
    assert vault.backup_missing(NEW.account)
    (tmp_path / "keys/peer/swarm.pem").write_bytes(NEW_PEER)
    vault.note_backup(NEW)
    assert not vault.backup_missing(NEW.account)
    assert vault.backup_missing("0xother")
    (tmp_path / "keys/peer/swarm.pem").write_bytes(OLD_PEER)
    assert vault.backup_missing(NEW.account)
    (tmp_path / "state/backup.json").write_text("{")
    assert vault.last_backup() is None
    assert vault.backup_missing(NEW.account)


def test_a_volume_that_cannot_be_written_is_one_sentence(vault: Vault, tmp_path: Path, keystore: Keystore) -> None:
    (tmp_path / "keys/peer").rmdir()
    (tmp_path / "keys/peer").write_text("a file")
    with pytest.raises(FatalError, match="check the keys volume"):
        vault.replace(NEW)


def test_a_secret_that_the_operator_gives_is_never_made(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path, tmp_path / "missing", make_secret=False)
    with pytest.raises(FatalError, match="missing"):
        keystore.create()
    assert not (tmp_path / "missing").exists()
    (tmp_path / "missing").write_text("s" * 40)
    made = keystore.create()
    assert keystore.load().address == made.address
