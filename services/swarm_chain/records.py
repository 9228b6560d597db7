"""Plain values that the chain client answers with. Hashes and addresses are 0x-prefixed text, amounts are wei."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RoundInfo:
    """Round and stage of the coordinator and the block in which they were read."""

    round: int
    stage: int
    block: int


@dataclass(frozen=True)
class BlockInfo:
    """The head of the chain."""

    number: int
    hash: str


@dataclass(frozen=True)
class Receipt:
    """A mined transaction. `ok` is False when it reverted; `contract` is set for a creation."""

    hash: str
    block: int
    block_hash: str
    ok: bool
    gas_used: int
    contract: str | None = None


@dataclass(frozen=True)
class Fees:
    """EIP-1559 fees per gas."""

    max_fee: int
    priority: int
