"""How much one address may ask: a token bucket each for reading and for writing, and a bound on calls under way.

An IPv6 household has a /64 to itself, so that is what counts as one address. Times are monotonic seconds.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

_MAX_ADDRESSES = 8192


class Buckets:
    """`burst` tokens for each address, `rate` new ones a second; the least recently seen address is forgotten first."""

    def __init__(self, rate: float, burst: float, max_addresses: int = _MAX_ADDRESSES) -> None:
        self._rate = rate
        self._burst = burst
        self._max_addresses = max_addresses
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str, count: int, now: float) -> bool:
        """Take `count` tokens of `address`; False, and nothing taken, when there are not so many."""
        level, at = self._levels.pop(address, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        enough = level >= count
        self._levels[address] = (level - count if enough else level, now)
        if len(self._levels) > self._max_addresses:
            self._levels.popitem(last=False)
        return enough

    def __len__(self) -> int:
        return len(self._levels)


def household(address: str) -> str:
    """What counts as one address: IPv4 as it is, the /64 of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return str(parsed)
