"""Credit and blame fade, bans grow, mostly useful peers stay, and a flood of identities does not wash out bans."""

from __future__ import annotations

import pytest

from swarm_dht.reputation import FIRST_BAN_SECONDS, HALF_LIFE_SECONDS, LONGEST_BAN_SECONDS, Reputation


def ban(reputation: Reputation, peer: str, now: float) -> None:
    for _ in range(4):
        reputation.blame(peer, "wrong_task", now)


def test_four_wrong_keys_ban_and_the_ban_ends() -> None:
    reputation = Reputation()
    for _ in range(3):
        reputation.blame("A", "wrong_task", 0.0)
    assert not reputation.is_banned("A", 0.0)
    reputation.blame("A", "wrong_task", 0.0)
    assert reputation.is_banned("A", FIRST_BAN_SECONDS - 1)
    assert not reputation.is_banned("A", FIRST_BAN_SECONDS)
    assert reputation.banned(1.0) == ["A"]


def test_each_ban_is_twice_as_long_up_to_a_limit() -> None:
    reputation, now, lengths = Reputation(), 0.0, []
    for _ in range(12):
        ban(reputation, "A", now)
        length = 0.0
        while reputation.is_banned("A", now + length):
            length += FIRST_BAN_SECONDS / 2
        lengths.append(length)
        now += length
    assert lengths[:3] == [FIRST_BAN_SECONDS, 2 * FIRST_BAN_SECONDS, 4 * FIRST_BAN_SECONDS]
    assert lengths[-1] == LONGEST_BAN_SECONDS


def test_blame_fades() -> None:
    reputation = Reputation()
    for hour in range(20):
        reputation.blame("A", "wrong_task", hour * 6 * HALF_LIFE_SECONDS)
    assert reputation.bans == 0


def test_a_peer_that_is_mostly_of_use_is_not_banned() -> None:
    reputation = Reputation()
    for _ in range(100):
        reputation.praise("A", 0.0, 3)
        reputation.blame("A", "wrong_task", 0.0)
    assert reputation.bans == 0
    assert reputation.is_proven("A", 0.0)
    assert not Reputation().is_proven("A", 0.0)


def test_credit_cannot_be_saved_up_for_an_attack() -> None:
    reputation = Reputation()
    reputation.praise("A", 0.0, 100_000)
    assert reputation.is_proven("A", 0.0)
    for _ in range(60):
        reputation.blame("A", "wrong_task", 0.0)
    assert reputation.is_banned("A", 0.0)
    assert not reputation.is_proven("A", 0.0)


@pytest.mark.parametrize("reason", ["wrong_version", "no_groups"])
def test_what_is_nobodys_fault(reason: str) -> None:
    reputation = Reputation()
    reputation.blame("A", reason, 0.0, 1000)
    assert reputation.bans == 0
    assert reputation.reasons == {reason: 1000}


def test_two_unreadable_records_or_one_bomb_ban() -> None:
    reputation = Reputation()
    reputation.blame("A", "not_msgpack", 0.0)
    reputation.blame("A", "not_canonical", 0.0)
    reputation.blame("B", "bomb", 0.0)
    assert reputation.banned(0.0) == ["A", "B"]


def test_a_flood_of_identities_is_bounded_and_forgets_no_ban() -> None:
    reputation = Reputation(max_peers=50)
    ban(reputation, "A", 0.0)
    for number in range(1000):
        reputation.blame(f"S{number}", "stale", 1.0)
    assert reputation.is_banned("A", 2.0)
    assert len(reputation._standings) <= 50
