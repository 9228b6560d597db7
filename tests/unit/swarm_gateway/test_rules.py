"""What may pass to the chain: the list and nothing else, parameters of a fixed form, transactions to our contracts."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account

from swarm_gateway.rules import MAX_DATA_BYTES, METHODS, Refusal, check, destination

COORDINATOR = "0x" + "c0" * 20
OTHER = "0x" + "aa" * 20
WORD = "0x" + "11" * 32
KEY = "0x" + "01" * 32


def signed(to: str | None = COORDINATOR, data: str = "0x", **fields: Any) -> str:
    base = {"nonce": 0, "gas": 100_000, "chainId": 53855, "value": 0, "data": data}
    fields = fields or {"maxFeePerGas": 0, "maxPriorityFeePerGas": 0}
    return (
        "0x"
        + Account.sign_transaction(
            {**base, **fields, **({"to": bytes.fromhex(to[2:])} if to else {})}, KEY
        ).raw_transaction.hex()
    )


def refused(method: object, *params: object) -> int:
    with pytest.raises(Refusal) as caught:
        check(method, list(params), {COORDINATOR})
    return caught.value.code


FORBIDDEN = [
    "anvil_setBalance",
    "anvil_impersonateAccount",
    "hardhat_setCode",
    "evm_increaseTime",
    "evm_snapshot",
    "debug_traceTransaction",
    "eth_sendTransaction",
    "eth_sendUnsignedTransaction",
    "eth_sign",
    "eth_accounts",
    "eth_newFilter",
    "eth_getLogs",
    "eth_subscribe",
    "personal_unlockAccount",
    "admin_peers",
    "txpool_content",
    "miner_stop",
    "ots_getApiLevel",
    "erigon_getHeaderByNumber",
    "web3_clientVersion",
    "trace_block",
    "ETH_CHAINID",
]


@pytest.mark.parametrize("method", [*FORBIDDEN, "eth_chainId ", "", None, 5, ["eth_chainId"], {}])
def test_what_is_not_on_the_list_does_not_pass(method: object) -> None:
    assert refused(method) == -32601


def test_everything_on_the_list_is_harmless_by_name() -> None:
    assert all(name.startswith(("eth_get", "eth_")) or name == "net_version" for name in METHODS)
    assert len(METHODS) == 16


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_chainId", []),
        ("eth_blockNumber", []),
        ("eth_call", [{"to": COORDINATOR, "data": "0x1234"}, "latest"]),
        ("eth_call", [{"to": COORDINATOR, "from": OTHER, "input": "0x"}]),
        ("eth_estimateGas", [{"to": COORDINATOR, "from": OTHER, "data": "0x"}]),
        ("eth_getBlockByNumber", ["0x0", False]),
        ("eth_getBlockByNumber", ["finalized", False]),
        ("eth_getTransactionCount", [OTHER, "pending"]),
        ("eth_getTransactionReceipt", [WORD]),
        ("eth_getStorageAt", [COORDINATOR, WORD, "latest"]),
        ("eth_getCode", [COORDINATOR, "latest"]),
    ],
)
def test_what_a_node_asks_passes(method: str, params: list[Any]) -> None:
    assert check(method, params, {COORDINATOR}) is False


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_call", [{"to": COORDINATOR}, "latest", {OTHER: {"balance": "0xff"}}]),  # state override
        ("eth_call", [{"to": COORDINATOR, "data": "0x" + "00" * (MAX_DATA_BYTES + 1)}]),
        ("eth_call", [{"to": COORDINATOR, "data": "0x", "input": "0x" + "00" * (MAX_DATA_BYTES + 1)}]),
        ("eth_call", [{"to": "0x" + "00" * 19 + "05", "data": "0x00"}]),  # modular exponentiation: seconds of CPU
        ("eth_estimateGas", [{"to": OTHER, "data": "0x00"}]),
        ("eth_call", [{"data": "0x00"}]),
        ("eth_call", [{"to": COORDINATOR, "blobs": "0x"}]),
        ("eth_call", ["0x"]),
        ("eth_call", []),
        ("eth_getBlockByNumber", ["latest", True]),
        ("eth_getBlockByNumber", [{"blockHash": WORD}, False]),
        ("eth_getBlockByNumber", ["0x" + "f" * 100, False]),
        ("eth_getBalance", ["me"]),
        ("eth_chainId", [1]),
        ("eth_getTransactionReceipt", ["0x12"]),
        ("eth_sendRawTransaction", ["0x"]),
        ("eth_sendRawTransaction", ["0x" + "00" * 20_000]),
        ("eth_sendRawTransaction", [5]),
    ],
)
def test_other_forms_do_not_pass(method: str, params: list[Any]) -> None:
    assert refused(method, *params) == -32602


def test_params_must_be_a_list() -> None:
    with pytest.raises(Refusal):
        check("eth_chainId", {"0": 1}, set())


def test_transactions_go_to_our_contracts_only() -> None:
    assert check("eth_sendRawTransaction", [signed()], {COORDINATOR}) is True
    assert check("eth_sendRawTransaction", [signed(gasPrice=0)], {COORDINATOR}) is True
    assert check("eth_sendRawTransaction", [signed(gasPrice=0, accessList=[])], {COORDINATOR}) is True
    assert refused("eth_sendRawTransaction", signed(OTHER)) == -32602
    assert refused("eth_sendRawTransaction", signed(None, "0x6000")) == -32602  # a contract of the stranger's own


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\x03\xc0", b"\xc0", b"\xff" * 50, b"\x02" * 1000, b"\xc1" * 1000])
def test_junk_goes_nowhere(raw: bytes) -> None:
    assert destination(raw) == ""
