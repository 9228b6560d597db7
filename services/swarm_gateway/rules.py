"""What a stranger may ask of the chain: methods, the form of their parameters, and where a transaction may go.

The chain is a development node whose own RPC can set balances, time and code; nothing of that passes. What passes is
what a node of this project needs: reading blocks, receipts and state, and calls and transactions to the swarm's own
contracts (gas is free here, so anything else would be a gift of CPU and disk). Pure functions, no network.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

import rlp

MAX_RAW_BYTES = 16 * 1024
MAX_DATA_BYTES = 16 * 1024
NOT_FOUND, BAD_PARAMS, BAD_REQUEST = -32601, -32602, -32600
_HEX = re.compile("0x[0-9a-fA-F]*")
_ADDRESS = re.compile("0x[0-9a-fA-F]{40}")
_WORD = re.compile("0x[0-9a-fA-F]{64}")
_TAGS = frozenset({"latest", "pending", "safe", "finalized", "earliest"})
_CALL_FIELDS = frozenset({"from", "to", "data", "input", "value", "gas", "gasPrice", "maxFeePerGas",
                          "maxPriorityFeePerGas", "nonce", "type", "chainId", "accessList"})  # fmt: skip
# of anything else, a precompiled contract for one, a call may cost the chain a second of CPU
_CALLS = frozenset({"eth_call", "eth_estimateGas"})
_TO_FIELD = {1: 4, 2: 5}  # transaction type -> position of its destination; a legacy one has it at 3


class Refusal(Exception):
    """A request is not passed on; `code` is JSON-RPC's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(method: object, params: object, contracts: Collection[str]) -> bool:
    """Raises Refusal unless the call may pass; returns whether it writes. `contracts`: lower-case addresses."""
    rule = _RULES.get(method) if isinstance(method, str) else None
    if rule is None:
        raise Refusal(NOT_FOUND, "this method is not offered here")
    if not isinstance(params, list):
        raise Refusal(BAD_PARAMS, "params must be a list")
    if not rule(params):
        raise Refusal(BAD_PARAMS, "these parameters are not offered here")
    if method in _CALLS and params[0]["to"].lower() not in contracts:
        raise Refusal(BAD_PARAMS, "calls go to the contracts of this swarm only")
    if method != "eth_sendRawTransaction":
        return False
    if destination(bytes.fromhex(params[0][2:])) not in contracts:
        raise Refusal(BAD_PARAMS, "transactions go to the contracts of this swarm only")
    return True


def destination(raw: bytes) -> str:
    """Where a signed transaction goes, lower case; "" for a creation or what is no transaction of types 0 to 2."""
    try:
        kind = raw[0] if raw and raw[0] < 0xC0 else 0
        fields = rlp.decode(raw[1:] if kind else raw)
        to = fields[_TO_FIELD[kind] if kind else 3]
    except (rlp.exceptions.RLPException, IndexError, KeyError, TypeError, RecursionError):
        return ""
    return f"0x{to.hex()}" if isinstance(to, bytes) and len(to) == 20 else ""


def _none(params: list[Any]) -> bool:
    return not params


def _block(value: Any) -> bool:
    return isinstance(value, str) and (value in _TAGS or (bool(_HEX.fullmatch(value)) and 2 < len(value) <= 18))


def _account_at(params: list[Any]) -> bool:
    return 1 <= len(params) <= 2 and _is(_ADDRESS, params[0]) and all(_block(tag) for tag in params[1:])


def _storage_at(params: list[Any]) -> bool:
    return len(params) in (2, 3) and _is(_ADDRESS, params[0]) and _is(_WORD, params[1]) and all(map(_block, params[2:]))


def _block_without_bodies(params: list[Any]) -> bool:
    return len(params) == 2 and _block(params[0]) and params[1] is False


def _block_by_hash(params: list[Any]) -> bool:
    return len(params) == 2 and _is(_WORD, params[0]) and params[1] is False


def _hash(params: list[Any]) -> bool:
    return len(params) == 1 and _is(_WORD, params[0])


def _call(params: list[Any]) -> bool:
    """A call and a block; a third parameter would override the chain's state."""
    if not 1 <= len(params) <= 2 or not isinstance(params[0], dict) or not all(map(_block, params[1:])):
        return False
    request = params[0]
    data = [request[field] for field in ("data", "input") if field in request]
    return (
        set(request) <= _CALL_FIELDS
        and _is(_ADDRESS, request.get("to"))
        and all(_is(_HEX, text) and len(text) <= 2 + 2 * MAX_DATA_BYTES for text in data)
        and all(isinstance(request[field], str) for field in set(request) - {"accessList"})
        and "accessList" not in request
    )


def _raw(params: list[Any]) -> bool:
    if len(params) != 1 or not _is(_HEX, params[0]):
        return False
    return len(params[0]) % 2 == 0 and 4 < len(params[0]) <= 2 + 2 * MAX_RAW_BYTES


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


_RULES: dict[str, Callable[[list[Any]], bool]] = {
    "eth_blockNumber": _none,
    "eth_call": _call,
    "eth_chainId": _none,
    "eth_estimateGas": _call,
    "eth_gasPrice": _none,
    "eth_getBalance": _account_at,
    "eth_getBlockByHash": _block_by_hash,
    "eth_getBlockByNumber": _block_without_bodies,
    "eth_getCode": _account_at,
    "eth_getStorageAt": _storage_at,
    "eth_getTransactionByHash": _hash,
    "eth_getTransactionCount": _account_at,
    "eth_getTransactionReceipt": _hash,
    "eth_maxPriorityFeePerGas": _none,
    "eth_sendRawTransaction": _raw,
    "net_version": _none,
}
METHODS = frozenset(_RULES)
