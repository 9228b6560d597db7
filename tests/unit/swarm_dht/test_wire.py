"""The answer of `rpc_fetch` on the wire: golden bytes, "none" is small, anything malformed is refused with a reason."""

from __future__ import annotations

import math
import struct

import pytest

from swarm_core.errors import RecordError
from swarm_core.records import MAX_BATCH_BYTES
from swarm_dht.wire import BATCH, BUSY, MAX_REPLY_BYTES, NONE, FetchReply


def test_golden_bytes() -> None:
    assert FetchReply(NONE).encode().hex() == "01000000000000000000"
    assert FetchReply(BUSY).encode().hex() == "01020000000000000000"
    assert FetchReply(BATCH, 1.5, b"data").encode().hex() == "01013ff8000000000000" + b"data".hex()


@pytest.mark.parametrize("reply", [FetchReply(NONE), FetchReply(BUSY), FetchReply(BATCH, 2.25, b"\0" * 1000)])
def test_round_trip(reply: FetchReply) -> None:
    assert FetchReply.decode(reply.encode()) == reply


def test_none_costs_less_than_200_bytes() -> None:
    assert len(FetchReply(NONE).encode()) < 200


def test_the_largest_batch_fits() -> None:
    assert FetchReply.decode(FetchReply(BATCH, 0.0, b"x" * MAX_BATCH_BYTES).encode()).kind == BATCH


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "bad_reply"),
        (b"\x01" * 9, "bad_reply"),
        (struct.pack(">BBd", 2, NONE, 0.0), "wrong_version"),
        (struct.pack(">BBd", 1, 3, 0.0), "bad_reply"),
        (struct.pack(">BBd", 1, NONE, 0.0) + b"x", "bad_reply"),
        (struct.pack(">BBd", 1, BUSY, 0.0) + b"x", "bad_reply"),
        (struct.pack(">BBd", 1, BATCH, 0.0), "bad_reply"),
        (struct.pack(">BBd", 1, BATCH, -1.0) + b"x", "bad_reply"),
        (struct.pack(">BBd", 1, BATCH, math.nan) + b"x", "bad_reply"),
        (struct.pack(">BBd", 1, BATCH, math.inf) + b"x", "bad_reply"),
        (struct.pack(">BBd", 1, BATCH, 0.0) + b"x" * MAX_REPLY_BYTES, "too_large"),
    ],
)
def test_malformed(raw: bytes, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        FetchReply.decode(raw)
    assert caught.value.reason == reason
