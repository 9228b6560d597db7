"""Signs with the account's key. Works with `keystore` (where the key comes from) and the outbox (`ports.Signer`)."""

from __future__ import annotations

from eth_account.signers.local import LocalAccount

from swarm_chain.records import Fees
from swarm_chain.wallet import sign


class Wallet:
    """An externally owned account."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self._address = str(account.address)

    @property
    def address(self) -> str:
        """EIP-55 address."""
        return self._address

    def sign(self, *, to: str, data: bytes, nonce: int, gas: int, fees: Fees, chain_id: int) -> tuple[str, bytes]:
        """0x-hash and bytes of an EIP-1559 transaction without value."""
        signed = sign(self._account, chain_id=chain_id, nonce=nonce, gas=gas, fees=fees, data=data, to=to)
        return signed.hash, signed.raw
