"""The signature behind a record counts for its peer, swarm and round only; upstream's readers do not notice it."""

from __future__ import annotations

import pytest

from swarm_core.errors import RecordError
from swarm_core.genrl import decode, encode
from swarm_core.identity import PeerKey, generate_key, parse_key
from swarm_dht.compat.trailer import Context, is_signed, sign

RECORD = encode({"a": 1})
HERE = Context("53855", 7)


@pytest.fixture(scope="module")
def key() -> PeerKey:
    """A peer's key."""
    return parse_key(generate_key())


def trailer_of(key: PeerKey) -> bytes:
    return decode(sign(RECORD, key, HERE))[1]


def test_own_signature_is_believed(key: PeerKey) -> None:
    assert is_signed(trailer_of(key), RECORD, key.peer_id, HERE)
    assert len(trailer_of(key)) < 600


def test_no_trailer_is_no_signature(key: PeerKey) -> None:
    assert not is_signed(b"", RECORD, key.peer_id, HERE)
    assert not is_signed(b"something else", RECORD, key.peer_id, HERE)


@pytest.mark.parametrize("context", [Context("53855", 8), Context("1", 7)])
def test_replay_to_another_round_or_swarm(key: PeerKey, context: Context) -> None:
    with pytest.raises(RecordError, match="bad_signature"):
        is_signed(trailer_of(key), RECORD, key.peer_id, context)


def test_another_peer_or_record(key: PeerKey) -> None:
    other = parse_key(generate_key())
    with pytest.raises(RecordError, match="bad_signature"):
        is_signed(trailer_of(key), RECORD, other.peer_id, HERE)
    with pytest.raises(RecordError, match="bad_signature"):
        is_signed(trailer_of(key), RECORD + b"x", key.peer_id, HERE)


def test_damaged_trailers(key: PeerKey) -> None:
    whole = trailer_of(key)
    for damaged in (
        whole[:8],
        whole[:9],
        whole[:50],
        whole[:-1],
        whole + b"x",
        whole[:-1] + b"\0",
        whole + b"x" * 5000,
    ):
        with pytest.raises(RecordError):
            is_signed(damaged, RECORD, key.peer_id, HERE)
