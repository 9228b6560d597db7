"""How a stuck transaction is offered more: pure rules for EIP-1559 fees, all in wei per gas.

Works with `flight`. Nodes replace a waiting transaction only by one that pays at least 10 % more in both fees
(go-ethereum's txpool, `PriceBump`); we offer 12.5 %. Nothing is ever offered above the operator's cap.
"""

from __future__ import annotations

from swarm_chain.records import Fees

GWEI = 10**9
DEFAULT_CAP = 100 * GWEI


def within(fees: Fees, cap: int) -> Fees:
    """`fees`, but not above `cap`."""
    max_fee = min(fees.max_fee, cap)
    return Fees(max_fee=max_fee, priority=min(fees.priority, max_fee))


def raised(last: Fees, market: Fees, cap: int) -> Fees | None:
    """What replaces an offer of `last` while the chain asks for `market`; None where no node would take a new offer.

    None on a chain whose gas is free, and when the cap leaves no room for 10 % more.
    """
    if last.max_fee <= 0 and market.max_fee <= 0:
        return None
    wanted = Fees(
        max_fee=max(_eighth_more(last.max_fee), market.max_fee),
        priority=max(_eighth_more(last.priority), market.priority),
    )
    offer = within(wanted, cap)
    if offer.max_fee < _tenth_more(last.max_fee) or offer.priority < _tenth_more(last.priority):
        return None
    return offer


def _eighth_more(fee: int) -> int:
    return fee + -(-fee // 8)


def _tenth_more(fee: int) -> int:
    return fee + -(-fee // 10)
