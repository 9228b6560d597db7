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
    return Vault(tmp_path / "keys", tmp_path / "state", tmp_path / "peer-keys", keystore)


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


@pytest.fixture
def slots(tmp_path: Path) -> Path:
    """Two extra peers, one slot that was never used, and what else lies there."""
    directory = tmp_path / "peer-keys"
    for slot, key in (("1", quick_key(11)), ("2", quick_key(12)), ("3", None), ("65", quick_key(65))):
        (directory / slot).mkdir(parents=True)
        if key is not None:
            (directory / slot / "swarm.pem").write_bytes(key)
    (directory / "1.lock").touch()
    return directory


def test_extra_peers_come_back_and_their_old_keys_are_kept(vault: Vault, slots: Path) -> None:
    assert vault.read().extra_keys == {1: quick_key(11), 2: quick_key(12)}
    new = {1: quick_key(21), 2: quick_key(12), 3: quick_key(23), 4: quick_key(24)}
    kept = vault.replace(Identity(NEW_PEER, NEW.account_key, new))
    assert kept is not None
    assert {path.name for path in kept.iterdir()} == {"swarm-1.pem"}
    assert (kept / "swarm-1.pem").read_bytes() == quick_key(11)
    assert stat.S_IMODE((slots / "4").stat().st_mode) == 0o2770, "made for the peer that takes it"
    assert not (slots / "2/incoming.pem").exists(), "it has that key: its daemon is not disturbed"
    for slot in (1, 3, 4):
        assert take_incoming(slots / str(slot)) == parse_key(new[slot]).peer_id
    assert vault.read().extra_keys == new
    vault.replace(NEW)
    assert vault.read().extra_keys == new, "a backup without extra peers leaves them"


def test_one_peer_never_gets_two_slots(vault: Vault, slots: Path) -> None:
    vault.replace(Identity(NEW_PEER, None, {1: quick_key(12)}))
    assert not (slots / "1/incoming.pem").exists(), "slot 2 has it and keeps it"
    vault.replace(Identity(NEW_PEER, None, {1: quick_key(12), 2: quick_key(11)}))
    assert (take_incoming(slots / "1"), take_incoming(slots / "2")) != (None, None)
    assert vault.read().extra_keys == {1: quick_key(12), 2: quick_key(11)}


def test_of_two_restores_the_last_one_counts(vault: Vault, slots: Path, tmp_path: Path) -> None:
    (tmp_path / "keys/peer/swarm.pem").write_bytes(OLD_PEER)
    vault.replace(Identity(NEW_PEER, None, {1: quick_key(21)}))
    vault.replace(Identity(OLD_PEER, None, {1: quick_key(11)}))
    assert take_incoming(tmp_path / "keys/peer") is take_incoming(slots / "1") is None


def test_a_new_extra_peer_needs_a_new_backup(vault: Vault, slots: Path) -> None:
    vault.note_backup(Identity(None, NEW.account_key))
    assert vault.backup_missing(NEW.account), "an earlier version's backup had no extra peers"
    vault.note_backup(Identity(None, NEW.account_key, {1: quick_key(11), 2: quick_key(12)}))
    assert not vault.backup_missing(NEW.account)
    (slots / "3/swarm.pem").write_bytes(quick_key(13))
    assert vault.backup_missing(NEW.account)


def test_extra_keys_that_cannot_be_used_are_never_left_out_in_silence(vault: Vault, slots: Path) -> None:
    (slots / "2/swarm.pem").write_bytes(b"junk")
    with pytest.raises(FatalError, match="extra peer 2 is unusable"):
        vault.read()
    assert vault.backup_missing(NEW.account)
    (slots / "2/swarm.pem").unlink()
    (slots / "2/swarm.pem").mkdir()
    with pytest.raises(FatalError, match="cannot be read"):
        vault.read()
    assert vault.extra.ids() is None


def test_a_damaged_peer_key_is_no_backup(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "keys/peer/swarm.pem").write_bytes(b"junk")
    with pytest.raises(FatalError, match="restore it from a backup"):
        vault.read()
    vault.replace(NEW)
    assert take_incoming(tmp_path / "keys/peer") == NEW.peer_id


def test_a_secret_that_the_operator_gives_is_never_made(tmp_path: Path) -> None:
    keystore = Keystore(tmp_path, tmp_path / "missing", make_secret=False)
    with pytest.raises(FatalError, match="missing"):
        keystore.create()
    assert not (tmp_path / "missing").exists()
    (tmp_path / "missing").write_text("s" * 40)
    made = keystore.create()
    assert keystore.load().address == made.address
