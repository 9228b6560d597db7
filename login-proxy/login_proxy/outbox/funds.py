"""Gas money: what the account can pay for, and how much is missing. Amounts in wei.

Works with `delivery`. An account that cannot pay loses nothing: its intents stay in the line until it is funded.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from login_proxy.outbox.fees import within
from login_proxy.outbox.intents import Intent
from login_proxy.outbox.ports import Submitter

TYPICAL_GAS = 200_000  # a registration with its margin; reports need less


@dataclass(frozen=True)
class Shortage:
    """The account holds `balance` and needs at least `needed` for its next transaction."""

    balance: int
    needed: int

    def after(self, balance: int) -> Shortage | None:
        """What is missing once the account holds `balance`; None when it is enough."""
        return None if balance >= self.needed else Shortage(balance, self.needed)


def affordable(
    gas: Sequence[int], max_fee: int, balance: int, in_flight: Iterable[Intent]
) -> tuple[int, Shortage | None]:
    """How many of the next transactions (their `gas`, in order) can be paid beside those in flight.

    The shortage is told only when nothing can be sent: money in flight may come back.
    """
    reserved = sum(intent.last_attempt.cost for intent in in_flight if intent.last_attempt is not None)
    left = balance - reserved
    for number, units in enumerate(gas):
        left -= units * max_fee
        if left < 0:
            if number == 0 and reserved == 0:
                return 0, Shortage(balance, units * max_fee)
            return number, None
    return len(gas), None


async def shortage(submitter: Submitter, fee_cap: int) -> Shortage | None:
    """What a node means that refuses for lack of funds; None when the account could pay for a typical transaction."""
    fees = within(await submitter.fees(), fee_cap)
    balance = await submitter.balance()
    return Shortage(balance, TYPICAL_GAS * fees.max_fee).after(balance)
