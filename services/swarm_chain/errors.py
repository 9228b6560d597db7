"""What can be wrong with a chain or a contract, below `swarm_core.errors.SwarmError`.

SwarmError
├── Unavailable
│   ├── NoDeployment   the deployment file is not there yet
│   └── RpcRefused     the node refused a request, e.g. a transaction; `reason` is a short word
├── WrongChain         the RPC serves another chain than configured, or the chain was reset
├── WrongContract      no coordinator of this interface lives at the address
└── ContractError      the contract reverted; `name` is the custom error
"""

from __future__ import annotations

from typing import Literal

from swarm_core.errors import SwarmError, Unavailable

RefusalReason = Literal["already_known", "nonce_too_low", "underpriced", "insufficient_funds", "other"]

# parts of messages of geth, op-geth, erigon, reth and anvil, all lower case
_REASONS: tuple[tuple[str, RefusalReason], ...] = (
    ("already known", "already_known"),
    ("already imported", "already_known"),
    ("already exists", "already_known"),
    ("alreadyknown", "already_known"),
    ("nonce too low", "nonce_too_low"),
    ("nonce is too low", "nonce_too_low"),
    ("underpriced", "underpriced"),
    ("less than block base fee", "underpriced"),
    ("fee cap less than", "underpriced"),
    ("insufficient funds", "insufficient_funds"),
)


class NoDeployment(Unavailable):
    """No coordinator address is configured and the deployment file is not there (yet)."""


class WrongChain(SwarmError):
    """The chain is not the one that was configured or deployed to."""


class WrongContract(SwarmError):
    """The address holds no code, or code that does not answer like a coordinator."""


class ContractError(SwarmError):
    """A call or transaction reverted. `name` is the custom error (`InvalidVote`), `Error` or `Panic`, or `""`."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(f"{name}: {detail}" if detail else name or "reverted without a reason")
        self.name = name
        self.detail = detail


class RpcRefused(Unavailable):
    """The node answered a request with a JSON-RPC error that is no revert. Catch it before Unavailable when sending."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code
        self.message = message

    @property
    def reason(self) -> RefusalReason:
        """The message as a word that does not depend on the node's software."""
        text = self.message.lower()
        return next((reason for part, reason in _REASONS if part in text), "other")
