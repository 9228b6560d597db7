"""The setup token: random, in a private file, void after use, expiry and rotation."""

from __future__ import annotations

from pathlib import Path

from tests.support.fake_chain import FakeClock

from login_proxy.access.setup_token import VALID_SECONDS, SetupToken


def test_the_token_in_the_private_file_matches_and_nothing_else(tmp_path: Path) -> None:
    setup = SetupToken(tmp_path / "setup-token")
    token = setup.rotate()
    assert len(token) == 32, "192 bits"
    assert (tmp_path / "setup-token").read_text() == f"{token}\n"
    assert (tmp_path / "setup-token").stat().st_mode & 0o777 == 0o600
    assert setup.matches(token)
    assert setup.matches(f" {token}\n"), "pasted with blanks"
    for wrong in ("", token[:-1], token + "x", token.swapcase(), "ü" * 32):
        assert not setup.matches(wrong)


def test_a_new_token_voids_the_old_one(tmp_path: Path) -> None:
    setup = SetupToken(tmp_path / "setup-token")
    old, new = setup.rotate(), setup.rotate()
    assert (setup.matches(old), setup.matches(new)) == (False, True)


def test_a_token_expires(tmp_path: Path) -> None:
    clock = FakeClock()
    setup = SetupToken(tmp_path / "setup-token", clock)
    assert setup.expired()
    token = setup.rotate()
    clock.now += VALID_SECONDS - 1
    assert not setup.expired()
    assert setup.matches(token)
    clock.now += 1
    assert setup.expired()
    assert not setup.matches(token)


def test_after_the_claim_there_is_no_token(tmp_path: Path) -> None:
    setup = SetupToken(tmp_path / "setup-token")
    token = setup.rotate()
    setup.void()
    assert not setup.matches(token)
    assert not setup.matches("")
    assert not (tmp_path / "setup-token").exists()
    setup.void()
