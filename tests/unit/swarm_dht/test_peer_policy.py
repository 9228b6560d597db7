"""Whom we ask: lists, bans, registration, at most a few of one account or /24, and otherwise everybody alike."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from swarm_dht.peer_policy import PeerPolicy, Rules, subnets_of
from swarm_dht.reputation import Reputation

ADDRESSES = {f"S{number}": [f"/ip4/8.8.8.{number % 256}/tcp/1"] for number in range(200)}


def policy(rules: Rules = Rules(), **owners: str | None) -> PeerPolicy:  # noqa: B008 - frozen
    made = PeerPolicy(rules, "Own", Reputation(), lambda peer: ADDRESSES.get(peer, []), lambda: 0.0)
    made.learn_owners(owners)
    return made


def test_uniform_over_peers() -> None:
    peers, chosen, made, rng = [f"P{number}" for number in range(100)], Counter[str](), policy(), random.Random(1)
    for _ in range(3000):
        chosen.update(made.choose(peers, 8, rng))
    assert len(chosen) == 100
    assert max(chosen.values()) / (sum(chosen.values()) / 100) < 1.3


def test_sybils_of_one_subnet_do_not_crowd_out_the_others() -> None:
    honest, made, rng = [f"P{number}" for number in range(100)], policy(), random.Random(1)
    for _ in range(50):
        chosen = made.choose([*honest, *ADDRESSES], 32, rng)
        assert len(chosen) == 32
        assert sum(peer.startswith("S") for peer in chosen) <= 2
    assert made.passed_over["subnet"] > 0


def test_nor_do_those_of_one_account_but_our_own_count_freely() -> None:
    made = policy(Own="0xAA", **dict.fromkeys([f"M{n}" for n in range(20)], "0xaa"), **dict.fromkeys("ABCDE", "0xbb"))
    chosen = made.choose([*(f"M{n}" for n in range(20)), *"ABCDE"], 32, random.Random(1))
    assert sum(peer.startswith("M") for peer in chosen) == 20
    assert sum(peer in "ABCDE" for peer in chosen) == 2


def test_registered_only() -> None:
    made = policy(Rules(registered_only=True, allow=frozenset("C")), A="0xaa", B=None)
    assert sorted(made.choose(list("ABCD"), 8, random.Random(1))) == ["A", "C"]
    assert [made.allows(peer) for peer in "ABCD"] == [True, False, True, False]
    assert made.unwelcome("B") == "unregistered"


def test_denied_banned_and_always_allowed() -> None:
    made = policy(Rules(deny=frozenset("A"), allow=frozenset("B")))
    for peer in "BC":
        made.blamed(peer, "bomb")
    assert [made.unwelcome(peer) for peer in "ABCD"] == ["denied", "", "banned", ""]
    assert [made.allows(peer) for peer in "ABCD"] == [False, True, True, True]
    assert sorted(made.choose(list("ABCD"), 8, random.Random(1))) == ["B", "D"]


@pytest.mark.parametrize(
    ("address", "subnets"),
    [
        ("/ip4/8.8.4.4/tcp/1", {"8.8.4.0/24"}),
        ("/ip4/8.8.4.4", {"8.8.4.0/24"}),
        ("/ip6/2001:4860:4860::8888/tcp/1", {"2001:4860:4860::/48"}),
        ("/ip4/10.1.2.3/tcp/1", set()),
        ("/ip4/127.0.0.1/tcp/1", set()),
        ("/ip4/999.1.1.1/tcp/1", set()),
        ("/dns4/host.example/tcp/1", set()),
        ("junk", set()),
    ],
)
def test_subnets(address: str, subnets: set[str]) -> None:
    assert subnets_of([address]) == subnets


def test_what_is_remembered_of_owners_is_bounded() -> None:
    made = policy()
    made.learn_owners({f"P{number}": None for number in range(20_000)})
    assert len(made.owners) == 8192
