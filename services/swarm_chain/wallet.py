"""Signs and sends the host's transactions: one key, one transaction at a time, waits for the receipt.

Works with `client`. Takes the nonce from the chain for every transaction, so a chain that was restarted or went back
needs no care. Not for the node's wallet: that is the login service's, which keeps an outbox.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from swarm_chain.client import ChainClient
from swarm_chain.errors import ContractError, RpcRefused
from swarm_chain.records import Fees, Receipt
from swarm_core.errors import Unavailable

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True)
class Signed:
    """A signed transaction: what to send and by which hash to find it."""

    raw: bytes
    hash: str


def sign(
    account: LocalAccount, *, chain_id: int, nonce: int, gas: int, fees: Fees, data: bytes, to: str | None
) -> Signed:
    """An EIP-1559 transaction without value; `to` None creates a contract."""
    fields: dict[str, Any] = {
        "type": 2,
        "chainId": chain_id,
        "nonce": nonce,
        "gas": gas,
        "maxFeePerGas": fees.max_fee,
        "maxPriorityFeePerGas": fees.priority,
        "value": 0,
        "data": data,
    }
    if to is not None:
        fields["to"] = bytes.fromhex(to.removeprefix("0x"))
    signed = account.sign_transaction(fields)
    return Signed(raw=bytes(signed.raw_transaction), hash="0x" + bytes(signed.hash).hex())


class Wallet:
    """The account of `key` (32 bytes) on the chain of `client`."""

    def __init__(self, client: ChainClient, key: bytes, *, receipt_seconds: float = 30.0) -> None:
        self._client = client
        self.account: LocalAccount = Account.from_key(key)
        self._receipt_seconds = receipt_seconds

    @property
    def address(self) -> str:
        """0x and 40 lower-case digits."""
        return str(self.account.address).lower()

    async def send(self, data: bytes) -> Receipt:
        """Send a transaction to the coordinator and wait until it is mined.

        Raises ContractError when it reverts (before it is sent, or mined as failed), Unavailable when the chain does
        not answer or no receipt came in time, RpcRefused when the node does not take it.
        """
        return await self.send_to(self._client.coordinator, data)

    async def send_to(self, target: str | None, data: bytes) -> Receipt:
        """As `send`, to any address; None creates a contract."""
        client = self._client
        gas = await client.estimate(self.address, data, target)
        fees = await client.fees()
        nonce = await client.nonce(self.address, "latest")
        signed = sign(
            self.account,
            chain_id=client.chain_id,
            nonce=nonce,
            gas=gas + gas // 5,  # state may change between the estimate and the block
            fees=fees,
            data=data,
            to=target,
        )
        try:
            await client.send_raw(signed.raw)
        except RpcRefused as error:
            if error.reason not in ("already_known", "nonce_too_low"):
                raise
            # either this very transaction arrived before, or another one took the nonce: the receipt tells
        receipt = await self._wait(signed.hash)
        if not receipt.ok:
            raise ContractError("", f"transaction {signed.hash} reverted in block {receipt.block}")
        return receipt

    async def _wait(self, transaction: str) -> Receipt:
        pause = _FIRST_PAUSE
        loop = asyncio.get_running_loop()
        end = loop.time() + self._receipt_seconds
        while True:
            receipt = await self._client.receipt(transaction)
            if receipt is not None:
                return receipt
            if loop.time() + pause > end:
                raise Unavailable(f"No receipt for {transaction} within {self._receipt_seconds:g} s.")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
