"""Which peers are asked for groups, and in which order: lists, bans, registration, and no crowd from one place.

An identity costs nothing, an account on the chain and an address of one's own cost something. So of the peers asked
in one collect at most `per_account` belong to one account and `per_subnet` come from one /24 (or /48 of IPv6); peers
of our own account, and private addresses (one's own machines), are not counted. Works with `Reputation` and without a
network; the simulator runs this code.
"""

from __future__ import annotations

import ipaddress
import random
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from swarm_dht.reputation import Reputation

_MAX_OWNERS = 8192
_IP = re.compile(r"^/(ip4|ip6)/([0-9a-fA-F.:]+)(?:/|$)")


@dataclass(frozen=True)
class Rules:
    """What an operator may set. `registered_only`: only peers that the contract knows."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    registered_only: bool = False
    per_account: int = 2
    per_subnet: int = 2


@dataclass
class PeerPolicy:
    """`addresses`: the multiaddrs that a peer was connected by. `owners` is filled by the worker from the chain."""

    rules: Rules
    own_id: str
    reputation: Reputation
    addresses: Callable[[str], Sequence[str]]
    clock: Callable[[], float]
    owners: OrderedDict[str, str | None] = field(default_factory=OrderedDict)
    passed_over: Counter[str] = field(default_factory=Counter)

    def learn_owners(self, owners: Mapping[str, str | None]) -> None:
        """Accounts that the contract names for peers; None for a peer that it does not know."""
        for peer, account in owners.items():
            self.owners[peer] = account.lower() if account else None
            self.owners.move_to_end(peer)
        while len(self.owners) > _MAX_OWNERS:
            self.owners.popitem(last=False)

    def allows(self, peer: str) -> bool:
        """Whether `peer` may have anything from us or give us anything; bans aside."""
        if peer in self.rules.deny:
            return False
        if peer in self.rules.allow:
            return True
        return not self.rules.registered_only or self.owners.get(peer) is not None

    def unwelcome(self, peer: str) -> str:
        """Why `peer` is not asked; "" when it is."""
        if peer in self.rules.deny:
            return "denied"
        if peer in self.rules.allow:
            return ""
        if self.reputation.is_banned(peer, self.clock()):
            return "banned"
        return "" if self.allows(peer) else "unregistered"

    def choose(self, peers: Sequence[str], limit: int, rng: random.Random) -> list[str]:
        """At most `limit` of `peers`, within the rules; to be asked from the last to the first.

        In random order, but for crowds: where many come from one place, the few that are taken come early in the
        sample, so they stand in front and are asked when the others had nothing.
        """
        chosen: list[str] = []
        crowd: Counter[str] = Counter()
        own_account = self.owners.get(self.own_id)
        for peer in rng.sample(peers, len(peers)):
            if len(chosen) >= limit:
                break
            reason = self.unwelcome(peer)
            if not reason and peer not in self.rules.allow:
                reason = self._crowded(peer, crowd, own_account)
            if reason:
                self.passed_over[reason] += 1
            else:
                chosen.append(peer)
        return chosen

    def blamed(self, peer: str, reason: str, count: int = 1) -> None:
        """`peer` sent something wrong."""
        if peer not in self.rules.allow:
            self.reputation.blame(peer, reason, self.clock(), count)

    def praised(self, peer: str, count: int = 1) -> None:
        """`peer` sent good groups."""
        self.reputation.praise(peer, self.clock(), count)

    def _crowded(self, peer: str, crowd: Counter[str], own_account: str | None) -> str:
        account = self.owners.get(peer)
        if account is not None and account == own_account:
            return ""
        subnets = subnets_of(self.addresses(peer))
        if account is not None and crowd[account] >= self.rules.per_account:
            return "account"
        if any(crowd[subnet] >= self.rules.per_subnet for subnet in subnets):
            return "subnet"
        crowd.update(subnets if account is None else [account, *subnets])
        return ""


def subnets_of(addresses: Iterable[str]) -> set[str]:
    """The /24 networks (/48 of IPv6) of public multiaddrs."""
    found = set()
    for text in addresses:
        match = _IP.match(text)
        if match is None:
            continue
        try:
            address = ipaddress.ip_address(match[2])
        except ValueError:
            continue
        if address.is_global:
            prefix = 24 if address.version == 4 else 48
            found.add(str(ipaddress.ip_network((address, prefix), strict=False)))
    return found
