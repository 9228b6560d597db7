"""The codec of genrl 0.1.11, whose peers share rollouts as tagged values: exact encoder, bounded decoder.

Every value begins with its type, an unsigned 64-bit big-endian integer (upstream's interface, observed: integers are
padded to CPython's size of an int, booleans are one ASCII digit). Bytes of strangers go through `decode`: it does not
recurse, and neither time nor memory exceed a small multiple of the input, whatever counts and lengths it claims.
Differs from upstream's reader in two ways, both on purpose: a true boolean is read as true, and a second value after
the first is not ignored silently but handed back as `rest`. Golden bytes: tests/interfaces/test_genrl_golden.py.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from swarm_core.errors import RecordError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_ITEMS = 4096
MAX_INTEGER_BYTES = 128

_LIST, _DICT, _STRING, _INTEGER, _FLOAT, _BOOLEAN, _PAYLOAD, _WORLD_STATE, _NONE = range(1, 10)
_U64 = struct.Struct(">Q")
_DOUBLE = struct.Struct(">d")
_TAG_BYTES = _U64.size


@dataclass(frozen=True)
class WorldState:
    """genrl's state of a question: for reasoning-gym a dict with `question`, `answer`, `metadata`, and twice None."""

    environment: Any
    opponent: Any = None
    personal: Any = None


@dataclass(frozen=True)
class Payload:
    """One node of genrl's game tree: a state, the completions given to it, and optional metadata."""

    world_state: Any
    actions: Any
    metadata: Any = None


def encode(value: Any) -> bytes:
    """The bytes of genrl's own encoder. Raises RecordError for a type it does not know or a value nested too deep."""
    out: list[bytes] = []
    _write(value, out, 0)
    return b"".join(out)


def decode(data: bytes) -> tuple[Any, bytes]:
    """(value, rest): the first value in `data` and the bytes after it. Raises RecordError with a reason."""
    if len(data) > MAX_BYTES:
        raise RecordError("too_large", f"{len(data)} bytes")
    reader = _Reader(data)
    value = reader.value()
    return value, data[reader.position :]


def _integer_bytes(number: int) -> int:
    """CPython's size of an int (a header of 24 bytes, then digits of 30 bits in 4 bytes), which upstream pads to."""
    return 24 + 4 * max(1, -(-abs(number).bit_length() // 30))


def _write(value: Any, out: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RecordError("too_deep")
    kind = type(value)  # exact types, as upstream: a bool is no integer, a tuple no list
    if value is None:
        out.append(_U64.pack(_NONE))
    elif kind is bool:
        out.append(_U64.pack(_BOOLEAN) + (b"1" if value else b"0"))
    elif kind is int:
        size = _integer_bytes(value)
        out.append(_U64.pack(_INTEGER) + _U64.pack(size) + value.to_bytes(size, "big", signed=True))
    elif kind is float:
        out.append(_U64.pack(_FLOAT) + _U64.pack(_DOUBLE.size) + _DOUBLE.pack(value))
    elif kind is str:
        text = _utf8(value)
        out.append(_U64.pack(_STRING) + _U64.pack(len(text)) + text)
    else:
        _write_container(value, out, depth + 1)


def _write_container(value: Any, out: list[bytes], depth: int) -> None:
    if type(value) is list:
        out.append(_U64.pack(_LIST) + _U64.pack(len(value)))
        items = value
    elif type(value) is dict:
        out.append(_U64.pack(_DICT) + _U64.pack(len(value)))
        items = [part for pair in value.items() for part in pair]
    elif type(value) is Payload:
        out.append(_U64.pack(_PAYLOAD))
        items = [value.world_state, value.actions, value.metadata]
    elif type(value) is WorldState:
        out.append(_U64.pack(_WORLD_STATE))
        items = [value.environment, value.opponent, value.personal]
    else:
        raise RecordError("wrong_type", type(value).__name__)
    for item in items:
        _write(item, out, depth)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RecordError("not_utf8") from error


@dataclass
class _Frame:
    """A container being read: `missing` values are still to come."""

    kind: int
    missing: int
    items: list[Any] = field(default_factory=list)

    def close(self) -> Any:
        if self.kind == _LIST:
            return self.items
        if self.kind == _PAYLOAD:
            return Payload(*self.items)
        if self.kind == _WORLD_STATE:
            return WorldState(*self.items)
        keys = self.items[::2]
        if not all(type(key) in (str, int, bool, float, type(None)) for key in keys):
            raise RecordError("wrong_type", "key of a dict")
        return dict(zip(keys, self.items[1::2], strict=True))


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._items = 0
        self.position = 0

    def value(self) -> Any:
        """The value at the current position, read with a stack of our own."""
        stack: list[_Frame] = []
        while True:
            found = self._next(len(stack))
            if isinstance(found, _Frame) and found.missing:
                stack.append(found)
                continue
            value = found.close() if isinstance(found, _Frame) else found
            while stack:
                frame = stack[-1]
                frame.items.append(value)
                frame.missing -= 1
                if frame.missing:
                    break
                value = stack.pop().close()
            else:
                return value

    def _next(self, depth: int) -> Any:
        """A whole plain value, or the frame of a container that begins here."""
        self._items += 1
        if self._items > MAX_ITEMS:
            raise RecordError("too_many_items")
        kind = self._number()
        if kind in (_LIST, _DICT, _PAYLOAD, _WORLD_STATE):
            return self._frame(kind, depth)
        if kind == _NONE:
            return None
        if kind == _BOOLEAN:
            return self._boolean()
        if kind == _STRING:
            return self._text()
        if kind == _INTEGER:
            return int.from_bytes(self._take(self._length(MAX_INTEGER_BYTES)), "big", signed=True)
        if kind == _FLOAT:
            return self._float()
        raise RecordError("unknown_type", str(kind))

    def _frame(self, kind: int, depth: int) -> _Frame:
        if depth >= MAX_DEPTH:
            raise RecordError("too_deep")
        if kind in (_PAYLOAD, _WORLD_STATE):
            return _Frame(kind, 3)
        count = self._number() * (2 if kind == _DICT else 1)
        # each item takes at least its tag: a larger count is a lie, found before anything is allocated for it
        if count > (len(self._data) - self.position) // _TAG_BYTES or self._items + count > MAX_ITEMS:
            raise RecordError("too_many_items")
        return _Frame(kind, count)

    def _boolean(self) -> bool:
        digit = self._take(1)
        if digit not in (b"0", b"1"):
            raise RecordError("wrong_type", "boolean")
        return digit == b"1"

    def _text(self) -> str:
        try:
            return self._take(self._length(MAX_BYTES)).decode()
        except UnicodeDecodeError as error:
            raise RecordError("not_utf8") from error

    def _float(self) -> float:
        if self._number() != _DOUBLE.size:
            raise RecordError("wrong_type", "float")
        value: float = _DOUBLE.unpack(self._take(_DOUBLE.size))[0]
        return value

    def _length(self, most: int) -> int:
        length = self._number()
        if length > most:
            raise RecordError("too_large", f"a value of {length} bytes")
        return length

    def _number(self) -> int:
        number: int = _U64.unpack(self._take(_U64.size))[0]
        return number

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._data):
            raise RecordError("truncated")
        taken = self._data[self.position : end]
        self.position = end
        return taken
