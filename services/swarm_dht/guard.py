"""What we hold for others in the Kademlia storage, and what we refuse to hold.

hivemind's own `rpc_store` believes every caller: anybody may overwrite anybody's record, replace a whole dictionary by
a plain value, and fill the memory with values that never expire. Here a subkey belongs to the peer whose id it is;
what third parties push (hivemind's caching and replication) only fills gaps and gives way to its owner; there are no
plain values; values, keys, callers and the whole have bounds, and nothing is kept for longer than `MAX_TTL_SECONDS`.
Values are kept only if every stock reader can decode them: one that cannot would hang (findings/dht.md, hole 4).
"""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Any

import msgpack

from swarm_core.errors import RecordError
from swarm_core.genrl import MAX_BYTES
from swarm_core.identity import is_peer_id
from swarm_dht.compat.trailer import MAX_TRAILER_BYTES

MAX_VALUE_BYTES = MAX_BYTES + MAX_TRAILER_BYTES
MAX_TTL_SECONDS = 700.0  # genrl's peers ask for 600; the rest is for their clocks
MAX_KEY_BYTES = 3 * 1024 * 1024  # of one dictionary: beyond 4 MiB no stock peer could read it any more
MAX_CALLER_BYTES = 4 * 1024 * 1024  # that one caller may have here at a time
MAX_TOTAL_BYTES = 32 * 1024 * 1024
MAX_REQUEST_ITEMS = 64
MAX_DICTIONARY_ITEMS = 4096
DICTIONARY_CODE = 0x50
_SWEEP_SECONDS = 1.0


@dataclass
class _Held:
    """One record: who gave it, whether that was its owner, how large it is and until when it counts (Unix seconds)."""

    caller: str
    owned: bool
    size: int
    until: float


def parse_value(raw: bytes) -> bytes:
    """The bytes inside a stored value. Raises RecordError for what is not msgpack bytes of a permitted size."""
    if len(raw) > MAX_VALUE_BYTES + 16:
        raise RecordError("too_large", f"value of {len(raw)} bytes")
    try:
        value = msgpack.unpackb(raw, max_bin_len=MAX_VALUE_BYTES, max_str_len=0, max_array_len=0, max_map_len=0,
                                max_ext_len=0)  # fmt: skip
    except (ValueError, msgpack.UnpackException) as error:
        raise RecordError("not_bytes", type(error).__name__) from error
    if not isinstance(value, bytes):
        raise RecordError("not_bytes")
    return value


def parse_subkey(raw: bytes) -> str:
    """The peer id in a packed subkey. Raises RecordError."""
    try:
        subkey = msgpack.unpackb(raw, max_str_len=128, max_bin_len=0, max_array_len=0, max_map_len=0, max_ext_len=0)
    except (ValueError, msgpack.UnpackException) as error:
        raise RecordError("bad_subkey", type(error).__name__) from error
    return checked_subkey(subkey)


def checked_subkey(subkey: object) -> str:
    """`subkey` when it is a peer id. Raises RecordError."""
    if not isinstance(subkey, str) or not is_peer_id(subkey):
        raise RecordError("bad_subkey")
    return subkey


def parse_dictionary(raw: bytes, max_bytes: int) -> list[tuple[object, object, object]]:
    """The (subkey, value, expiration) entries of a packed dictionary, none looked at yet. Raises RecordError.

    Entry by entry, so that one bad record costs nobody the others.
    """
    if len(raw) > max_bytes:
        raise RecordError("too_large", f"dictionary of {len(raw)} bytes")
    try:
        outer = msgpack.unpackb(raw, max_ext_len=max_bytes, max_array_len=0, max_map_len=0)
        if not isinstance(outer, msgpack.ExtType) or outer.code != DICTIONARY_CODE:
            raise RecordError("not_dictionary")
        fields = msgpack.unpackb(
            outer.data, max_array_len=MAX_DICTIONARY_ITEMS, max_map_len=0, max_ext_len=0,
            max_bin_len=max_bytes, max_str_len=1024,
        )  # fmt: skip
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise RecordError("not_dictionary", type(error).__name__) from error
    if not isinstance(fields, list) or len(fields) != 3 or not isinstance(fields[2], list):
        raise RecordError("not_dictionary")
    return [tuple(entry) for entry in fields[2] if isinstance(entry, list) and len(entry) == 3]


class StoreGuard:
    """Decides on each record that a caller wants stored, and remembers what is held. Works without a network."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[bytes, str], _Held] = OrderedDict()
        self._by_caller: Counter[str] = Counter()
        self._by_key: Counter[bytes] = Counter()
        self._swept = 0.0
        self.total = 0
        self.accepted = 0
        self.refused: Counter[str] = Counter()

    def admit(self, caller: str, key: bytes, subkey: str, value: bytes, until: float, now: float) -> bool:
        """Whether to store `value` (packed) of `subkey` under `key` for `caller`; True has it on the books already.

        Raises RecordError with the reason otherwise. `until` and `now` are Unix seconds.
        """
        self._expire(now)
        owned = caller == subkey
        before = self._held.get((key, subkey))
        if not math.isfinite(until) or until > now + MAX_TTL_SECONDS:
            raise RecordError("ttl")
        if until <= now:
            raise RecordError("expired")
        if before is not None and not owned:
            raise RecordError("not_owner")
        if before is not None and before.owned and until <= before.until:
            raise RecordError("older")
        parse_value(value)
        size = len(value) + len(key) + len(subkey)
        freed = before.size if before is not None else 0
        if self._by_key[key] - freed + size > MAX_KEY_BYTES:
            raise RecordError("key_full")
        if self._by_caller[caller] - (freed if before and before.caller == caller else 0) + size > MAX_CALLER_BYTES:
            raise RecordError("quota")
        if self.total - freed + size > MAX_TOTAL_BYTES:
            raise RecordError("full")
        self._drop((key, subkey))
        self._held[key, subkey] = _Held(caller, owned, size, until)
        self._by_caller[caller] += size
        self._by_key[key] += size
        self.total += size
        return True

    def _expire(self, now: float) -> None:
        if 0 <= now - self._swept < _SWEEP_SECONDS:
            return
        self._swept = now
        for entry in [entry for entry, held in self._held.items() if held.until <= now]:
            self._drop(entry)

    def _drop(self, entry: tuple[bytes, str]) -> None:
        held = self._held.pop(entry, None)
        if held is None:
            return
        self.total -= held.size
        for counts, name in ((self._by_caller, held.caller), (self._by_key, entry[0])):
            counts[name] -= held.size  # type: ignore[index]
            if counts[name] <= 0:  # type: ignore[index]
                del counts[name]


class Requests:
    """`rpc_store` over a guard: the request's items one by one, each stored, refused or given to its owner."""

    def __init__(self, guard: StoreGuard) -> None:
        self._guard = guard

    def store(self, caller: str, request: Any, protocol: Any, key_of: Any) -> list[bool]:
        """Store what is allowed of `request` (hivemind's StoreRequest); one verdict for each of its items."""
        rows = zip(request.keys, request.subkeys, request.values, request.expiration_time, strict=False)
        storage, verdicts = (
            protocol.storage,
            [],
        )  # never hivemind's cache: a forgery there could hide the owner's record
        for number, (key, tag, value, until) in enumerate(rows):
            try:
                if number >= MAX_REQUEST_ITEMS:
                    raise RecordError("too_many_items")
                if tag == protocol.IS_REGULAR_VALUE:
                    raise RecordError("plain_value")
                if tag == protocol.IS_DICTIONARY:
                    verdicts.append(self._store_dictionary(caller, key_of(key), key, value, storage))
                else:
                    self._store_one(caller, key_of(key), key, parse_subkey(tag), value, until, storage)
                    verdicts.append(True)
            except RecordError as error:
                self._guard.refused[error.reason] += 1
                verdicts.append(False)
        return verdicts

    def _store_dictionary(self, caller: str, key_id: Any, key: bytes, raw: bytes, storage: Any) -> bool:
        kept = True
        for subkey, value, until in parse_dictionary(raw, MAX_KEY_BYTES + 1024 * 1024):
            try:
                if not isinstance(value, bytes) or not isinstance(until, int | float):
                    raise RecordError("wrong_type")
                self._store_one(caller, key_id, key, checked_subkey(subkey), value, float(until), storage)
            except RecordError as error:
                kept = False
                self._guard.refused[error.reason] += 1
        return kept

    def _store_one(
        self, caller: str, key_id: Any, key: bytes, subkey: str, value: bytes, until: float, storage: Any
    ) -> None:
        self._guard.admit(caller, key, subkey, value, until, time.time())
        found = storage.get(key_id)
        if found is not None and not isinstance(found.value, bytes) and subkey in found.value:
            del found.value[subkey]  # the owner's word counts even if a third party claimed a later end
        storage.store_subkey(key_id, subkey, value, until)
        self._guard.accepted += 1
