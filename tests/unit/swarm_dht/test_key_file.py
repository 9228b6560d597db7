"""The peer key is made once, kept byte for byte, refused with a remedy when damaged, and held by one process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from swarm_core.errors import FatalError
from swarm_core.identity import generate_key, parse_key
from swarm_dht.key_file import load_or_create, lock_key, socket_directory


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
