"""What the store guard keeps and refuses: owners, gaps, plain values, undecodable values, sizes, quotas, lifetimes."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from swarm_core.errors import RecordError
from swarm_dht import libp2p  # enters hivemind without its heavy half
from swarm_dht.guard import (
    MAX_CALLER_BYTES,
    MAX_KEY_BYTES,
    MAX_TOTAL_BYTES,
    MAX_TTL_SECONDS,
    MAX_VALUE_BYTES,
    Requests,
    StoreGuard,
    parse_dictionary,
)

A, B, C = (f"Qm{letter * 44}" for letter in "ABC")
KEY = b"\x01" * 20
VALUE = msgpack.packb(b"record")


def refuses(guard: StoreGuard, reason: str, *arguments: Any) -> None:
    with pytest.raises(RecordError) as caught:
        guard.admit(*arguments)
    assert caught.value.reason == reason


def test_only_the_owner_replaces_a_record() -> None:
    guard = StoreGuard()
    assert guard.admit(B, KEY, B, VALUE, 600.0, 0.0)
    refuses(guard, "not_owner", A, KEY, B, VALUE, 650.0, 0.0)
    refuses(guard, "older", B, KEY, B, VALUE, 599.0, 0.0)
    assert guard.admit(B, KEY, B, VALUE, 601.0, 0.0)


def test_third_parties_fill_gaps_and_give_way_to_the_owner() -> None:
    guard = StoreGuard()
    assert guard.admit(A, KEY, B, VALUE, 690.0, 0.0)  # poisoned in advance
    refuses(guard, "not_owner", C, KEY, B, VALUE, 695.0, 0.0)
    assert guard.admit(B, KEY, B, VALUE, 600.0, 0.0)
    refuses(guard, "not_owner", A, KEY, B, VALUE, 699.0, 0.0)


@pytest.mark.parametrize("until", [MAX_TTL_SECONDS + 1, 10 * 365 * 86400.0, float("inf"), float("nan")])
def test_no_long_lifetimes(until: float) -> None:
    refuses(StoreGuard(), "ttl", A, KEY, A, VALUE, until, 0.0)


@pytest.mark.parametrize(
    "value", [b"\xc1\xff", b"", msgpack.packb("text"), msgpack.packb([b"x"]), VALUE + b"x", msgpack.packb({1: 2})]
)
def test_values_that_a_stock_reader_cannot_use(value: bytes) -> None:
    refuses(StoreGuard(), "not_bytes", A, KEY, A, value, 600.0, 0.0)


def verdict(guard: StoreGuard, caller: str, key: bytes, value: bytes) -> str:
    """Why the guard refuses the caller's own record; "" when it keeps it."""
    try:
        guard.admit(caller, key, caller, value, 600.0, 0.0)
    except RecordError as error:
        return error.reason
    return ""


def test_sizes() -> None:
    refuses(StoreGuard(), "too_large", A, KEY, A, msgpack.packb(b"x" * (MAX_VALUE_BYTES + 100)), 600.0, 0.0)
    guard, value = StoreGuard(), msgpack.packb(b"x" * MAX_VALUE_BYTES)
    verdicts = [verdict(guard, f"Qm{number}", KEY, value) for number in range(100)]
    assert set(verdicts) == {"", "key_full"}
    assert MAX_KEY_BYTES - 2 * MAX_VALUE_BYTES < guard.total <= MAX_KEY_BYTES


def test_a_flood_of_one_caller_and_of_many() -> None:
    guard, value = StoreGuard(), msgpack.packb(b"x" * MAX_VALUE_BYTES)
    assert {verdict(guard, A, bytes([number]) * 20, value) for number in range(60)} == {"", "quota"}
    assert guard.total <= MAX_CALLER_BYTES
    many = {verdict(guard, f"Qm{number % 200}", number.to_bytes(20, "big"), value) for number in range(200 * 20)}
    assert many == {"", "full"}
    assert MAX_TOTAL_BYTES - MAX_VALUE_BYTES * 2 < guard.total <= MAX_TOTAL_BYTES


def test_what_has_ended_makes_room() -> None:
    guard = StoreGuard()
    guard.admit(A, KEY, A, VALUE, 600.0, 0.0)
    assert guard.total > 0
    guard.admit(B, KEY, B, VALUE, 1300.0, 650.0)
    before = guard.total
    guard.admit(A, KEY, A, VALUE, 1300.0, 650.0)
    assert guard.total == 2 * before
    refuses(guard, "expired", C, KEY, C, VALUE, 600.0, 651.0)


def protocol() -> Any:
    assert libp2p.DHTProtocol
    from hivemind.dht.protocol import DHTProtocol
    from hivemind.dht.storage import DHTLocalStorage

    return SimpleNamespace(
        storage=DHTLocalStorage(),
        IS_REGULAR_VALUE=DHTProtocol.IS_REGULAR_VALUE,
        IS_DICTIONARY=DHTProtocol.IS_DICTIONARY,
    )


def request(*rows: tuple[bytes, bytes, float]) -> Any:
    tags, values, ends = zip(*rows, strict=True)
    return SimpleNamespace(keys=[KEY] * len(rows), subkeys=tags, values=values, expiration_time=ends)


def dictionary(**entries: Any) -> bytes:
    from hivemind.dht.storage import DictionaryDHTValue

    found = DictionaryDHTValue()
    for subkey, value in entries.items():
        found.store(subkey, value, time.time() + 500)
    return _dumps(found)


def _dumps(value: Any) -> bytes:
    from hivemind.utils.serializer import MSGPackSerializer

    packed: bytes = MSGPackSerializer.dumps(value)
    return packed


def held(where: Any) -> dict[str, bytes]:
    found = where.storage.get(KEY)
    return {} if found is None else {subkey: item.value for subkey, item in found.value.items()}


def test_a_plain_value_never_replaces_the_dictionary() -> None:
    guard, where, until = StoreGuard(), protocol(), time.time() + 600
    requests = Requests(guard)
    assert requests.store(B, request((_dumps(B), VALUE, until)), where, bytes) == [True]
    assert requests.store(A, request((where.IS_REGULAR_VALUE, VALUE, until + 50)), where, bytes) == [False]
    assert held(where) == {B: VALUE}
    assert guard.refused == {"plain_value": 1}


def test_the_owners_record_displaces_a_forgery_that_came_first_with_a_later_end() -> None:
    where, now = protocol(), time.time()
    requests = Requests(StoreGuard())
    forged, own = msgpack.packb(b"forged"), msgpack.packb(b"own")
    requests.store(A, request((_dumps(B), forged, now + 690)), where, bytes)
    assert held(where) == {B: forged}
    assert requests.store(B, request((_dumps(B), own, now + 600)), where, bytes) == [True]
    assert held(where) == {B: own}
    assert requests.store(A, request((_dumps(B), forged, now + 695)), where, bytes) == [False]
    assert held(where) == {B: own}


def test_a_pushed_dictionary_fills_gaps_record_by_record() -> None:
    guard, where = StoreGuard(), protocol()
    requests, own = Requests(guard), msgpack.packb(b"own")
    requests.store(B, request((_dumps(B), own, time.time() + 300)), where, bytes)
    pushed = dictionary(**{A: VALUE, B: VALUE, C: b"\xc1\xff", "no peer": VALUE})
    assert requests.store(A, request((where.IS_DICTIONARY, pushed, time.time() + 500)), where, bytes) == [False]
    assert held(where) == {A: VALUE, B: own}
    assert guard.refused == {"not_owner": 1, "not_bytes": 1, "bad_subkey": 1}


@pytest.mark.parametrize(
    "raw", [b"", b"\xc1", b"\x80", msgpack.packb(5), msgpack.packb(msgpack.ExtType(0x50, b"\xc1"))]
)
def test_junk_is_no_dictionary(raw: bytes) -> None:
    with pytest.raises(RecordError, match="not_dictionary"):
        parse_dictionary(raw, 1000)
    where = protocol()
    assert Requests(StoreGuard()).store(A, request((where.IS_DICTIONARY, raw, 1.0)), where, bytes) == [False]
