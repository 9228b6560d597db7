"""Request and answer of `rpc_fetch`: golden bytes of both versions, "none" is small, bombs and junk are refused."""

from __future__ import annotations

import contextlib
import hashlib
import math
import struct
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from swarm_core.errors import RecordError
from swarm_core.records import MAX_BATCH_BYTES, MAX_PLAIN_BATCH_BYTES
from swarm_dht import wire
from swarm_dht.wire import BATCH, BUSY, LARGE, MAX_REPLY_BYTES, NONE, SAME, ZSTD, FetchReply, FetchRequest

GUEST = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"


def test_golden_bytes() -> None:
    assert FetchReply(NONE).encode().hex() == "01000000000000000000"
    assert FetchReply(BUSY).encode().hex() == "01020000000000000000"
    assert FetchReply(BATCH, 1.5, b"data").encode().hex() == "01013ff8000000000000" + b"data".hex()


@pytest.mark.parametrize("reply", [FetchReply(NONE), FetchReply(BUSY), FetchReply(BATCH, 2.25, b"\0" * 1000)])
def test_round_trip(reply: FetchReply) -> None:
    assert FetchReply.decode(reply.encode()) == reply


def test_none_costs_less_than_200_bytes() -> None:
    guests = (GUEST,) * 2
    assert len(FetchReply(NONE).encode()) < 200
    assert len(FetchReply(NONE, guests=guests).encode(2)) < 200


def test_the_largest_batch_fits() -> None:
    assert FetchReply.decode(FetchReply(BATCH, 0.0, b"x" * MAX_PLAIN_BATCH_BYTES).encode()).kind == BATCH
    assert FetchReply.decode(FetchReply(BATCH, 0.0, b"x" * MAX_BATCH_BYTES).encode(2)).kind == BATCH


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "bad_reply"),
        (b"\x01" * 9, "bad_reply"),
        (struct.pack(">BBd", 3, NONE, 0.0), "wrong_version"),
        (struct.pack(">BBd", 2, NONE, 0.0), "bad_reply"),
        (struct.pack(">BBd", 2, NONE, 0.0) + b"\x02\x00", "bad_reply"),
        (struct.pack(">BBd", 2, NONE, 0.0) + b"\x00\x09", "bad_reply"),
        (struct.pack(">BBd", 2, NONE, 0.0) + b"\x00\x01", "bad_reply"),
        (struct.pack(">BBd", 2, NONE, 0.0) + b"\x00\x01\x05Qm", "bad_reply"),
        (struct.pack(">BBd", 2, NONE, 0.0) + b"\x00\x01\x02\xc3\xa9", "bad_reply"),
        (struct.pack(">BBd", 2, SAME, 0.0) + b"\x00\x00x", "bad_reply"),
        (struct.pack(">BBd", 2, 6, 0.0) + b"\x00\x00", "bad_reply"),
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


def test_golden_bytes_of_version_2() -> None:
    assert FetchReply(NONE).encode(2).hex() == "020000000000000000000000"
    assert FetchReply(BATCH, 1.5, b"data", ZSTD).encode(2).hex() == "02013ff80000000000000100" + b"data".hex()
    assert FetchReply(NONE, guests=("Qm1",)).encode(2).hex() == "02000000000000000000000103516d31"
    assert FetchRequest().encode().hex() == "020100000000000000000000"
    assert FetchRequest(zstd=False, wait=1.5, have=b"12345678", author="Qm1").encode().hex() == (
        "020005dc" + b"12345678Qm1".hex()
    )
    assert FetchRequest(version=1).encode() == b""


@pytest.mark.parametrize(
    "reply",
    [FetchReply(SAME, 1.0), FetchReply(LARGE), FetchReply(BATCH, 2.25, b"x", ZSTD, (GUEST, GUEST)), FetchReply(NONE)],
)
def test_round_trip_of_version_2(reply: FetchReply) -> None:
    assert FetchReply.decode(reply.encode(2)) == reply


def test_requests() -> None:
    for request in (FetchRequest(), FetchRequest(2, False, 2.5, b"abcdefgh", GUEST)):
        assert FetchRequest.decode(request.encode()) == request
    assert FetchRequest.decode(b"") == FetchRequest(version=1, zstd=False)
    later = b"\x07" + FetchRequest(wait=9.0).encode()[1:]
    assert FetchRequest.decode(later) == FetchRequest(version=2, wait=wire.MAX_WAIT_SECONDS)


@pytest.mark.parametrize(
    "raw", [b"\x02", b"\x01" + bytes(11), bytes(12), b"\x02" + bytes(90), b"\x02" + bytes(11) + b"0"]
)
def test_malformed_requests(raw: bytes) -> None:
    with pytest.raises(RecordError, match="bad_request"):
        FetchRequest.decode(raw)


def test_compression_only_when_smaller() -> None:
    packed, encoding = wire.compress(b"a" * 10_000)
    assert encoding == ZSTD
    assert len(packed) < 100
    assert FetchReply(BATCH, 0.0, packed, encoding).payload() == b"a" * 10_000
    noise = hashlib.sha256(b"").digest()
    assert wire.compress(noise) == (noise, wire.RAW)


def _bombs() -> list[bytes]:
    large = zstandard.ZstdCompressor(level=19).compress(bytes(64 * 1024 * 1024))
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(64 * 1024 * 1024))
    small = zstandard.ZstdCompressor().compress(b"x")
    return [large, hidden, large[:-5], small + small, b"junk", b"", small[:-1]]


@pytest.mark.parametrize("data", _bombs(), ids=["large", "hidden size", "cut bomb", "two", "junk", "empty", "cut"])
def test_a_bomb_costs_nothing(data: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(RecordError) as caught:
            wire.decompress(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason in ("bomb", "bad_compression")
    assert peak < 1_000_000


@given(st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_record_error(raw: bytes) -> None:
    for decode in (FetchReply.decode, FetchRequest.decode, lambda data: FetchReply.decode(b"\x02" + data).payload()):
        with contextlib.suppress(RecordError):
            decode(raw)
