"""A proof counts once, for its peer and request; no peer can use up the memory of nonces and lock the others out."""

from __future__ import annotations

import base64
import time

import pytest
from tests.support.keys import quick_key

from swarm_core.identity import PeerKey, judge_message, parse_key
from swarm_core.judge_wire import request_digest
from swarm_judge import signatures
from swarm_judge.signatures import Proof, Refusal, Signatures

HERE = "53855/0xaa"


def proof(key: PeerKey, number: int, *, age: int = 0, audience: str = HERE) -> Proof:
    """A signed request for a question of round 3."""
    issued, nonce = int(time.time()) - age, f"{number:032x}"
    message = judge_message(key.peer_id, audience, request_digest(key.peer_id, 3, "model"), issued, nonce)
    return Proof(
        public_key=base64.b64encode(key.public).decode(), signature=base64.b64encode(key.sign(message)).decode(),
        issued_at=issued, nonce=nonce,
    )  # fmt: skip


@pytest.fixture(scope="module")
def key() -> PeerKey:
    return parse_key(quick_key(1))


def refusal(signed: Signatures, key: PeerKey, given: Proof, number: int = 3) -> str:
    """The name of the refusal, "" for none."""
    try:
        signed.check(key.peer_id, number, "model", given)
        signed.once(key.peer_id, given)
    except Refusal as error:
        return error.name
    return ""


def test_a_proof_counts_once_here_and_now(key: PeerKey) -> None:
    signed = Signatures(lambda: HERE)
    first = proof(key, 1)
    assert refusal(signed, key, first, number=4) == "InvalidSignature"
    assert refusal(signed, parse_key(quick_key(2)), first) == "InvalidSignature"
    assert refusal(signed, key, first) == ""
    assert refusal(signed, key, first) == "RequestReplayed"
    assert refusal(signed, key, proof(key, 2, age=121)) == "RequestTooOld"
    assert refusal(signed, key, proof(key, 3, audience="1/0xbb")) == "InvalidSignature"


def test_checking_uses_no_nonce_up(key: PeerKey) -> None:
    """Unregistered keys cost nothing, and get no further than this."""
    signed = Signatures(lambda: HERE)
    for number in range(10):
        signed.check(key.peer_id, 3, "model", proof(key, number))
    assert not signed._nonces


def test_one_peer_cannot_lock_the_others_out(key: PeerKey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signatures, "_MAX_NONCES_OF_PEER", 5)
    signed, other = Signatures(lambda: HERE), parse_key(quick_key(2))
    found = [refusal(signed, key, proof(key, number)) for number in range(8)]
    assert found == [""] * 5 + ["TooManyRequests"] * 3
    assert refusal(signed, other, proof(other, 1)) == ""
    # forgotten when they are too old to be replayed
    now = time.time()
    monkeypatch.setattr(signatures.time, "time", lambda: now + 2 * signatures.MAX_SKEW_SECONDS + 1)
    fresh = proof(key, 100)
    assert refusal(signed, key, fresh) == ""
    assert len(signed._nonces) == 1
    assert dict(signed._of_peer) == {key.peer_id: 1}
