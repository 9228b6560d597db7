"""Call data, results, events and revert data of the swarm's contracts, from their ABIs.

Works with `eth_abi` for the encoding and with the committed artefacts for the types. Functions are named by their
signature (`submitReward(uint256,uint256,int256,string)`) because some are overloaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils.crypto import keccak

from swarm_chain import artifacts
from swarm_chain.errors import ContractError, WrongContract

_CONTRACTS = ("SwarmCoordinator", "PredictionMarket")
_ERROR_STRING = bytes.fromhex("08c379a0")
_PANIC = bytes.fromhex("4e487b71")
_SELECTOR_BYTES = 4


def selector(signature: str) -> bytes:
    """The first four bytes of the hash of a function's or error's signature."""
    return bytes(keccak(text=signature)[:_SELECTOR_BYTES])


def role(name: str) -> bytes:
    """The identifier of a role (32 bytes), e.g. of `OWNER_ROLE`."""
    return bytes(keccak(text=name))


def argument_types(signature: str) -> list[str]:
    """`f(uint256,string)` → `["uint256", "string"]`; tuples do not occur in this interface."""
    inner = signature[signature.index("(") + 1 : -1]
    return inner.split(",") if inner else []


def encode_call(signature: str, *arguments: Any) -> bytes:
    """Call data of the function with this signature."""
    return selector(signature) + encode(argument_types(signature), arguments)


def decode_result(signature: str, data: bytes) -> tuple[Any, ...]:
    """What the function answered. Raises WrongContract when the bytes are not such an answer."""
    outputs = _outputs()[signature]
    try:
        return tuple(decode(outputs, data))
    except (DecodingError, OverflowError, UnicodeDecodeError) as error:
        name = signature.partition("(")[0]
        raise WrongContract(
            f"The contract does not answer {name} like one of the swarm ({len(data)} bytes)."
        ) from error


def error_name(data: bytes | str) -> str | None:
    """The name of the custom error in revert data, None for data that holds none of our contracts' errors."""
    raw = bytes.fromhex(data.removeprefix("0x")) if isinstance(data, str) else data
    return _errors().get(raw[:_SELECTOR_BYTES])


def contract_error(data: bytes, message: str = "") -> ContractError:
    """The exception for revert data; `message` is what the node said beside it."""
    if data[:_SELECTOR_BYTES] == _ERROR_STRING:
        return ContractError("Error", _reason(data, "string") or message)
    if data[:_SELECTOR_BYTES] == _PANIC:
        return ContractError("Panic", _reason(data, "uint256") or message)
    name = error_name(data)
    if name is None:
        return ContractError("", f"{message} {data[:_SELECTOR_BYTES].hex()}".strip())
    return ContractError(name)


def _reason(data: bytes, kind: str) -> str:
    try:
        return str(decode([kind], data[_SELECTOR_BYTES:])[0])
    except (DecodingError, OverflowError, UnicodeDecodeError):
        return ""


def signature_of(entry: dict[str, Any]) -> str:
    """`name(type,type)` of an ABI entry."""
    return f"{entry['name']}({','.join(item['type'] for item in entry['inputs'])})"


def _entries() -> Iterator[dict[str, Any]]:
    for contract in _CONTRACTS:
        yield from artifacts.load(contract).abi


@cache
def _outputs() -> dict[str, list[str]]:
    functions = (entry for entry in _entries() if entry["type"] == "function")
    return {signature_of(entry): [item["type"] for item in entry["outputs"]] for entry in functions}


@cache
def _errors() -> dict[bytes, str]:
    errors = (entry for entry in _entries() if entry["type"] == "error")
    return {selector(signature_of(entry)): str(entry["name"]) for entry in errors}
