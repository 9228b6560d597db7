"""The account at rest: what is written opens again, and what is damaged is refused and left as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from login_proxy import keystore as module
from login_proxy.keystore import Keystore
from swarm_core.errors import FatalError


@pytest.fixture
def keystore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keystore:
    monkeypatch.setattr(module, "_ITERATIONS", 2)
    (tmp_path / "account").mkdir()
    return Keystore(tmp_path / "account", tmp_path / "unlock.secret")


def test_an_account_opens_again_and_its_files_are_private(keystore: Keystore) -> None:
    assert not keystore.exists()
    account = keystore.create()
    assert keystore.exists()
    assert keystore.load().address == account.address
    for path in (keystore.path, keystore.secret_file):
        assert path.stat().st_mode & 0o777 == 0o600
    text = keystore.path.read_text()
    assert bytes(account.key).hex() not in text
    assert json.loads(text)["crypto"]["kdf"] == "pbkdf2"


def test_an_account_is_never_made_over_another(keystore: Keystore) -> None:
    keystore.create()
    before = keystore.path.read_bytes(), keystore.secret_file.read_bytes()
    with pytest.raises(FatalError, match="nothing was changed"):
        keystore.create()
    assert (keystore.path.read_bytes(), keystore.secret_file.read_bytes()) == before


def test_a_secret_left_over_from_a_kill_is_used(keystore: Keystore) -> None:
    keystore.secret_file.write_text("ab" * 32)
    account = keystore.create()
    assert keystore.secret_file.read_text() == "ab" * 32
    assert keystore.load().address == account.address


@pytest.mark.parametrize("leftover", [b"", b"short"])
def test_a_damaged_leftover_secret_is_refused(keystore: Keystore, leftover: bytes) -> None:
    keystore.secret_file.write_bytes(leftover)
    with pytest.raises(FatalError):
        keystore.create()
    assert not keystore.path.exists()


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b"x" * 20_000, b'{"version": 3}'])
def test_a_damaged_keystore_is_refused(keystore: Keystore, damage: bytes) -> None:
    keystore.create()
    keystore.path.write_bytes(damage)
    with pytest.raises(FatalError) as caught:
        keystore.load()
    assert "backup" in caught.value.remedy
    assert keystore.path.read_bytes() == damage


@pytest.mark.parametrize("secret", [b"", b"ab" * 32, b"\xff" * 64])
def test_a_wrong_secret_is_refused(keystore: Keystore, secret: bytes) -> None:
    keystore.create()
    keystore.secret_file.write_bytes(secret)
    with pytest.raises(FatalError):
        keystore.load()


def test_a_missing_secret_is_refused_with_its_path(keystore: Keystore) -> None:
    keystore.create()
    keystore.secret_file.unlink()
    with pytest.raises(FatalError, match=r"unlock\.secret"):
        keystore.load()


def test_a_keystore_under_another_name_is_refused(keystore: Keystore) -> None:
    keystore.create()
    content = json.loads(keystore.path.read_text())
    content["address"] = "00" * 20
    keystore.path.write_text(json.dumps(content))
    with pytest.raises(FatalError, match="another account"):
        keystore.load()


def test_one_wallet_has_one_writer(keystore: Keystore) -> None:
    with keystore.lock(), pytest.raises(FatalError, match="Another login service"), keystore.lock():
        pytest.fail("both hold the wallet")
    with keystore.lock():
        pass
