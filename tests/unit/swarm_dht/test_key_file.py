"""The peer key is made once, kept byte for byte, refused with a remedy when damaged, replaced only by a restore."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from tests.support.keys import quick_key

from swarm_core.errors import FatalError
from swarm_core.identity import generate_key, parse_key
from swarm_core.runner import Service
from swarm_dht import key_file
from swarm_dht.key_file import load_or_create, lock_key, socket_directory, take_incoming, watch_incoming


def test_made_once_with_the_right_mode(tmp_path: Path) -> None:
    first = load_or_create(tmp_path)
    path = tmp_path / "swarm.pem"
    data = path.read_bytes()
    assert stat.S_IMODE(path.stat().st_mode) == 0o440
    assert load_or_create(tmp_path).peer_id == first.peer_id
    assert path.read_bytes() == data
    assert [entry.name for entry in tmp_path.iterdir()] == ["swarm.pem"]


def test_an_existing_key_is_used(tmp_path: Path) -> None:
    data = generate_key()
    (tmp_path / "swarm.pem").write_bytes(data)
    assert load_or_create(tmp_path).peer_id == parse_key(data).peer_id
    assert (tmp_path / "swarm.pem").read_bytes() == data


@pytest.mark.parametrize("data", [b"", b"-----BEGIN RSA PRIVATE KEY-----\n", b"junk" * 50, generate_key()[:-1]])
def test_a_damaged_key_is_refused_and_left_alone(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "swarm.pem"
    path.write_bytes(data)
    with pytest.raises(FatalError, match=r"unusable.*not changed\. Remedy: restore it from a backup"):
        load_or_create(tmp_path)
    assert path.read_bytes() == data


def test_a_missing_directory_is_said(tmp_path: Path) -> None:
    with pytest.raises(FatalError, match="cannot be read or made"):
        load_or_create(tmp_path / "nowhere")


def test_one_daemon_per_key(tmp_path: Path) -> None:
    with lock_key(tmp_path), pytest.raises(FatalError, match="already uses the key"):
        lock_key(tmp_path)
    lock_key(tmp_path).close()


def test_socket_directory_is_private_and_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = socket_directory(tmp_path / "key")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    (directory / "hivemind-p2pd-abc.sock").touch()
    assert socket_directory(tmp_path / "key") == directory
    assert list(directory.iterdir()) == []
    assert socket_directory(tmp_path / "other") != directory


def test_socket_directory_is_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    directory = socket_directory(tmp_path / "key")
    directory.rmdir()
    (tmp_path / "elsewhere").mkdir()
    directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FatalError, match="belongs to somebody else"):
        socket_directory(tmp_path / "key")


OLD, NEW = quick_key(1), quick_key(2)


def _restore(directory: Path, present: bytes | None, incoming: bytes) -> None:
    if present is not None:
        (directory / "swarm.pem").write_bytes(present)
    (directory / "incoming.pem").write_bytes(incoming)


def test_a_restored_key_takes_the_place_and_the_old_one_is_kept(tmp_path: Path) -> None:
    assert take_incoming(tmp_path) is None
    _restore(tmp_path, OLD, NEW)
    assert take_incoming(tmp_path) == parse_key(NEW).peer_id
    assert (tmp_path / "swarm.pem").read_bytes() == NEW
    assert stat.S_IMODE((tmp_path / "swarm.pem").stat().st_mode) == 0o440
    kept = tmp_path / f"replaced-{parse_key(OLD).peer_id}.pem"
    assert kept.read_bytes() == OLD
    assert sorted(entry.name for entry in tmp_path.iterdir()) == sorted([kept.name, "swarm.pem"])
    assert load_or_create(tmp_path).peer_id == parse_key(NEW).peer_id


def test_a_restore_onto_an_empty_volume(tmp_path: Path) -> None:
    _restore(tmp_path, None, NEW)
    assert take_incoming(tmp_path) == load_or_create(tmp_path).peer_id
    assert [entry.name for entry in tmp_path.iterdir()] == ["swarm.pem"]


def test_a_damaged_key_is_kept_too_when_a_backup_replaces_it(tmp_path: Path) -> None:
    _restore(tmp_path, b"junk", NEW)
    assert take_incoming(tmp_path) == parse_key(NEW).peer_id
    assert [entry.read_bytes() for entry in tmp_path.glob("replaced-*.pem")] == [b"junk"]


@pytest.mark.parametrize("data", [b"", b"junk" * 9, NEW[:-1]])
def test_what_is_no_key_is_set_aside(tmp_path: Path, data: bytes) -> None:
    _restore(tmp_path, OLD, data)
    assert take_incoming(tmp_path) is None
    assert (tmp_path / "swarm.pem").read_bytes() == OLD
    assert (tmp_path / "incoming.refused").read_bytes() == data
    assert take_incoming(tmp_path) is None


def test_an_interrupted_restore_goes_on(tmp_path: Path) -> None:
    _restore(tmp_path, OLD, NEW)
    (tmp_path / f"replaced-{parse_key(OLD).peer_id}.pem").write_bytes(OLD)  # killed after keeping
    assert take_incoming(tmp_path) == parse_key(NEW).peer_id
    _restore(tmp_path, None, NEW)  # killed before the file was removed
    assert take_incoming(tmp_path) == parse_key(NEW).peer_id
    assert len(list(tmp_path.glob("replaced-*"))) == 1


async def test_a_waiting_key_ends_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_file, "_LOOK_SECONDS", 0.01)
    (tmp_path / "incoming.pem").write_bytes(NEW)
    with pytest.raises(FatalError, match="A restored peer key waits"):
        await watch_incoming(Service("test"), tmp_path)
    (tmp_path / "incoming.pem").unlink()
    service = Service("test")
    service.stop.set()
    await watch_incoming(service, tmp_path)
