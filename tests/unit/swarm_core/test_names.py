"""Peer names: the same for ever, chosen by upstream's three bytes, every word reachable."""

from __future__ import annotations

import hashlib

import pytest

from swarm_core import names
from swarm_core.names import peer_name


@pytest.mark.parametrize(
    ("peer_id", "name"),
    [
        ("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "smart quiet robin"),
        ("12D3KooWA1", "brave fresh cat"),
        ("", "spry jolly hummingbird"),
    ],
)
def test_a_name_never_changes(peer_id: str, name: str) -> None:
    # people know their node by it, and two releases must agree
    assert peer_name(peer_id) == name


def test_the_bytes_that_choose_the_words() -> None:
    adjectives, animals = names._ADJECTIVES.split(), names._ANIMALS.split()
    for number in range(50):
        digest = hashlib.md5(f"Qm{number}".encode(), usedforsecurity=False).digest()
        expected = [adjectives[digest[2] % len(adjectives)], adjectives[digest[1] % len(adjectives)]]
        assert peer_name(f"Qm{number}").split() == [*expected, animals[digest[0] % len(animals)]]


@pytest.mark.parametrize("words", [names._ADJECTIVES.split(), names._ANIMALS.split()])
def test_words_are_distinct_plain_and_all_reachable_by_a_byte(words: list[str]) -> None:
    assert len(set(words)) == len(words) <= 256
    assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
