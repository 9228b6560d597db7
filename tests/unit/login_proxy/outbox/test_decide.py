"""Verdicts: an intent is rejected only when no later block can make it acceptable."""

from __future__ import annotations

import pytest

from login_proxy.outbox.decide import (
    LATER,
    MAX_TRIES_MISSING,
    MAX_TRIES_UNKNOWN,
    MAX_TRIES_VOTE,
    SOON,
    Action,
    Facts,
    Verdict,
    on_contract_error,
    on_refusal,
    same_account,
)
from login_proxy.outbox.intents import register, reward, winner

OURS, OTHER = "0xAA", "0xBB"
REWARD, VOTE, REGISTER = reward("A", 5, 0, 1), winner("A", 5, ("B",)), register("A")
RETRY_SOON = Verdict(Action.RETRY, SOON)
DUPLICATES = ["PeerIdAlreadyRegistered", "RewardAlreadySubmitted", "WinnerAlreadyVoted"]


def facts(owner: str | None = OURS, present: bool = False, at: tuple[int, int] = (5, 0)) -> Facts:
    return Facts(account="0xaa", round=at[0], stage=at[1], owner=owner, present=present)


@pytest.mark.parametrize("name", [*DUPLICATES, "InvalidRoundNumber", "Anything"])
def test_an_effect_that_the_chain_shows_under_our_account_is_delivered(name: str) -> None:
    assert on_contract_error(name, REWARD, 0, facts(present=True)) == Verdict(Action.DELIVERED)


@pytest.mark.parametrize("name", [*DUPLICATES, "InvalidVoterPeerId", "InvalidVote"])
def test_a_peer_of_another_account_is_held_even_if_the_effect_is_there(name: str) -> None:
    assert on_contract_error(name, REWARD, 99, facts(OTHER, present=True)) == Verdict(Action.OWNED_BY_OTHER)


def test_an_effect_of_a_peer_that_nobody_owns_is_not_ours() -> None:
    assert on_contract_error("RewardAlreadySubmitted", REWARD, 0, facts(None, present=True)) == RETRY_SOON


@pytest.mark.parametrize("name", DUPLICATES)
def test_a_duplicate_that_is_not_shown_waits_for_the_lagging_node_but_not_for_ever(name: str) -> None:
    assert on_contract_error(name, REGISTER, MAX_TRIES_MISSING - 1, facts(None)) == RETRY_SOON
    assert on_contract_error(name, REGISTER, MAX_TRIES_MISSING, facts(None)) == Verdict(Action.REJECT)


@pytest.mark.parametrize("owner", [None, OURS])
def test_a_missing_registration_is_waited_for_without_end(owner: str | None) -> None:
    assert on_contract_error("InvalidVoterPeerId", REWARD, 10_000, facts(owner)) == RETRY_SOON


@pytest.mark.parametrize(
    ("at", "tries", "verdict"),
    [
        ((4, 0), 0, Verdict(Action.RETRY, SOON)),
        ((4, 0), 1, Verdict(Action.RETRY, SOON * 2)),
        ((4, 9), 2, Verdict(Action.RETRY, SOON * 4)),
        ((4, 0), 3, Verdict(Action.RETRY, LATER)),
        ((4, 0), 10_000, Verdict(Action.RETRY, LATER)),
        ((5, 0), 0, RETRY_SOON),
        ((5, 0), 1, Verdict(Action.REJECT)),
        ((6, 0), 0, RETRY_SOON),
        ((6, 0), 1, Verdict(Action.REJECT)),
    ],
)
def test_a_future_round_waits_and_a_past_one_is_final_the_second_time(
    at: tuple[int, int], tries: int, verdict: Verdict
) -> None:
    for name in ("InvalidRoundNumber", "InvalidStageNumber"):
        assert on_contract_error(name, REWARD, tries, facts(at=at)) == verdict


def test_a_future_stage_of_this_round_waits() -> None:
    ahead = reward("A", 5, 1, 1)
    assert on_contract_error("InvalidStageNumber", ahead, 50, facts(at=(5, 0))).action is Action.RETRY


def test_a_vote_has_no_stage_to_be_ahead_with() -> None:
    assert on_contract_error("InvalidRoundNumber", VOTE, 1, facts(at=(5, 0))) == Verdict(Action.REJECT)
    assert on_contract_error("InvalidRoundNumber", VOTE, 1, facts(at=(4, 0))).action is Action.RETRY


def test_a_vote_for_a_peer_that_is_not_registered_yet_gets_time() -> None:
    assert on_contract_error("InvalidVote", VOTE, 0, facts()) == Verdict(Action.RETRY, LATER)
    assert on_contract_error("InvalidVote", VOTE, MAX_TRIES_VOTE - 1, facts()) == Verdict(Action.RETRY, LATER)
    assert on_contract_error("InvalidVote", VOTE, MAX_TRIES_VOTE, facts()) == Verdict(Action.REJECT)


def test_a_reward_over_the_limit_is_final_at_once() -> None:
    assert on_contract_error("InvalidVote", REWARD, 0, facts()) == Verdict(Action.REJECT)


def test_an_unknown_error_is_tried_a_few_times() -> None:
    assert on_contract_error("", REWARD, MAX_TRIES_UNKNOWN - 1, facts()) == RETRY_SOON
    assert on_contract_error("", REWARD, MAX_TRIES_UNKNOWN, facts()) == Verdict(Action.REJECT)


@pytest.mark.parametrize(
    ("reason", "result"),
    [
        ("already_known", "accepted"), ("nonce_too_low", "nonce_taken"), ("underpriced", "wait"),
        ("insufficient_funds", "wait"), ("other", "wait"),
    ],
)  # fmt: skip
def test_refused_sends(reason: str, result: str) -> None:
    assert on_refusal(reason) == result


def test_accounts_are_compared_without_letter_case_and_nobody_is_nobody() -> None:
    assert same_account("0xAb", "0xaB")
    assert not same_account("0xAb", "0xAc")
    assert not same_account(None, None)
    assert not same_account("0xAb", None)
    assert not same_account(None, "0xAb")
