"""Rate limits by the address that a request comes from: token buckets in memory, bounded in number.

Passwords have a bucket of their own, so that guessing never closes the door for passkey and wallet. An IPv6 host has
2^64 addresses: its /64 counts as one.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Limit = Literal["requests", "password", "proof", "claim"]


@dataclass(frozen=True)
class Rate:
    """`burst` at once, then `per_second`."""

    burst: float
    per_second: float


RATES: dict[Limit, Rate] = {
    "requests": Rate(400, 200),
    "password": Rate(10, 1 / 6),
    "proof": Rate(30, 0.5),
    "claim": Rate(10, 1 / 6),
}
_MAX_BUCKETS = 4096


class Limits:
    """All buckets. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[tuple[Limit, str], tuple[float, float]] = OrderedDict()

    def wait(self, limit: Limit, address: str) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there is."""
        rate, key, now = RATES[limit], (limit, network_of(address)), self._clock()
        left, seen = self._buckets.pop(key, (rate.burst, now))
        left = min(rate.burst, left + (now - seen) * rate.per_second)
        granted = left >= 1.0
        self._buckets[key] = (left - 1.0 if granted else left, now)
        while len(self._buckets) > _MAX_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if granted else (1.0 - left) / rate.per_second


def network_of(address: str) -> str:
    """What counts as one visitor: an IPv4 address, an IPv6 /64, or the text itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
