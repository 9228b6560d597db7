"""Passwords: argon2id, one at a time, everybody else is told to come back at once."""

from __future__ import annotations

import asyncio
import time

import pytest

from login_proxy.access.passwords import MAX_CHARS, MIN_CHARS, Busy, Passwords, is_acceptable


async def test_only_the_password_matches_its_hash() -> None:
    passwords = Passwords()
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$v=19$m=32768,t=3,p=1$")
    assert await passwords.matches(stored, "correct horse")
    for wrong in ("", "correct horsf", "correct horse ", "x" * 100_000):
        assert not await passwords.matches(stored, wrong)
    assert not await passwords.matches("no hash", "correct horse")


async def test_a_flood_is_turned_away_at_once_and_the_owner_gets_in_afterwards() -> None:
    passwords = Passwords()
    stored = await passwords.hash("correct horse")
    first = asyncio.create_task(passwords.matches(stored, "guess number 0"))
    await asyncio.sleep(0)
    started = time.monotonic()
    for number in range(64):
        with pytest.raises(Busy):
            await passwords.matches(stored, f"guess number {number}")
        with pytest.raises(Busy):
            await passwords.hash("another")
    assert time.monotonic() - started < 0.5
    assert not await first
    assert await passwords.matches(stored, "correct horse")


def test_the_length_of_a_new_password() -> None:
    assert [is_acceptable("x" * n) for n in (0, MIN_CHARS - 1, MIN_CHARS, MAX_CHARS, MAX_CHARS + 1)] == [
        False, False, True, True, False,
    ]  # fmt: skip
