"""Names of intents: the key is on disk of every installation, so it must never change by accident."""

from __future__ import annotations

from login_proxy.outbox.intents import Attempt, Intent, Kind, Request, State, Target, register, reward, winner
from swarm_chain import calls

TARGET = Target(53855, "0xABCDEF", "0x0123456789abcdef0123")


def test_keys_are_stable() -> None:
    assert register("A").key(TARGET) == "53855-0123456789abcdef|0xabcdef|register|-1|-1|A"
    assert reward("A", 7, 1, -3).key(TARGET) == "53855-0123456789abcdef|0xabcdef|reward|7|1|A"
    assert winner("A", 7, ("B", "C")).key(TARGET) == "53855-0123456789abcdef|0xabcdef|winner|7|-1|A"


def test_without_a_known_genesis_the_chain_id_names_the_chain() -> None:
    assert Target(1, "0xAb").tag == "1|0xab"


def test_the_content_is_the_reward_or_the_winners() -> None:
    assert reward("A", 7, 0, 3).same_content(reward("A", 7, 0, 3))
    assert not reward("A", 7, 0, 3).same_content(reward("A", 7, 0, 4))
    assert winner("A", 7, ("B",)).same_content(winner("A", 7, ("B",)))
    assert not winner("A", 7, ("B",)).same_content(winner("A", 7, ("C",)))


def test_call_data_is_the_contract_call() -> None:
    assert register("A").call_data() == calls.register_peer("A")
    assert reward("A", 7, 1, -3).call_data() == calls.submit_reward(7, 1, -3, "A")
    assert winner("A", 7, ("B", "C")).call_data() == calls.submit_winners(7, ["B", "C"], "A")


def test_the_nonce_is_that_of_the_newest_attempt_of_the_account() -> None:
    old, new = Attempt("h1", 4, b"", "me"), Attempt("h2", 9, b"", "me")
    intent = Intent(1, "k", Request(Kind.REGISTER, "A"), State.SENT, attempts=(old, new))
    assert intent.nonce("me") == 9
    assert intent.nonce("you") is None
    assert Intent(1, "k", Request(Kind.REGISTER, "A"), State.QUEUED).nonce("me") is None
