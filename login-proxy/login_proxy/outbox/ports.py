"""What the outbox needs from outside: the chain as `swarm_chain.client.ChainClient` offers it, and a signer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from swarm_chain.records import BlockInfo, Fees, Receipt, RoundInfo


class Chain(Protocol):
    """The part of ChainClient that the outbox uses; every call is bounded, none is repeated inside."""

    async def round_and_stage(self) -> RoundInfo: ...

    async def owners(self, peer_ids: Sequence[str]) -> list[str | None]: ...

    async def has_reward(self, round_number: int, stage: int, peer_id: str) -> bool: ...

    async def votes_of(self, round_number: int, peer_id: str) -> list[str]: ...

    async def block(self) -> BlockInfo: ...

    async def block_hash(self, number: int) -> str | None: ...

    async def nonce(self, account: str) -> int: ...

    async def receipt(self, transaction: str) -> Receipt | None: ...

    async def send_raw(self, signed: bytes) -> str: ...

    async def estimate_gas(self, account: str, data: bytes) -> int: ...

    async def fees(self) -> Fees: ...


class Signer(Protocol):
    """Holds the account's key. Another kind of account (account abstraction) is another Signer."""

    @property
    def address(self) -> str: ...

    def sign(self, *, to: str, data: bytes, nonce: int, gas: int, fees: Fees, chain_id: int) -> tuple[str, bytes]:
        """Sign a call; returns its 0x-hash and the bytes to send."""
        ...
