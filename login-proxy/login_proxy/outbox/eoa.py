"""The submitter of an externally owned account: signs itself, sends over the chain's RPC, pays its own gas.

Works with `ports.Signer` (the key) and `ports.Chain`. Knows no intent and keeps no state.
"""

from __future__ import annotations

from collections.abc import Sequence

from login_proxy.outbox.ports import Chain, Signer
from swarm_chain.records import Fees, Receipt


class EoaSubmitter:
    """Submits for the account of `signer`."""

    def __init__(self, signer: Signer, chain: Chain) -> None:
        self._signer = signer
        self._chain = chain

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return self._signer.address

    async def used(self) -> int:
        """How many nonces are used up: the number of mined transactions."""
        return await self._chain.nonce(self.address)

    async def estimate(self, to: str, data: bytes) -> int:
        """Gas of a call."""
        return await self._chain.estimate(self.address, data, to)

    async def fees(self) -> Fees:
        """Fees per gas for a transaction sent now."""
        return await self._chain.fees()

    async def balance(self) -> int:
        """Wei that the account holds."""
        return await self._chain.balance(self.address)

    def sign(self, *, to: str, data: bytes, nonce: int, gas: int, fees: Fees, chain_id: int) -> tuple[str, bytes]:
        """Sign a call; its 0x-hash and the bytes to send."""
        return self._signer.sign(to=to, data=data, nonce=nonce, gas=gas, fees=fees, chain_id=chain_id)

    async def send(self, signed: bytes) -> None:
        """Hand the bytes to the chain."""
        await self._chain.send_raw(signed)

    async def outcome(self, transaction: str) -> Receipt | None:
        """The receipt, None while it is not mined."""
        return await self._chain.receipt(transaction)

    async def surely_lost(self, nonce: int, transactions: Sequence[str]) -> bool:
        """Whether none of them had or can have effect: the nonce is used up in a finalised block by another one."""
        return await self._chain.lost_for_good(self.address, nonce, transactions)
