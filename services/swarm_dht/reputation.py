"""What a peer has been worth to us lately: credit and blame that fade, and bans that follow from them.

Blame comes from the collector (a reply that is no valid record) and from the worker (a wrong answer key, a copy of
another peer's group). Both fade by half in `HALF_LIFE_SECONDS`, so an honest peer that was broken for an hour is asked
again. A peer is banned when blame is both large and larger than its credit: a peer of another task set, of whose
groups only some are of use, keeps its place. Works without a network; times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from dataclasses import dataclass

HALF_LIFE_SECONDS = 600.0
FIRST_BAN_SECONDS = 300.0
LONGEST_BAN_SECONDS = 6 * 3600.0
BAN_AT = 4.0  # blame
BLAME_PER_CREDIT = 2.0
MAX_PEERS = 4096
_MOST = 50.0  # neither credit nor blame grows beyond this: nobody saves up for an attack

# how much one occurrence weighs; what is not listed is nobody's fault (stale: a slow clock, busy: a full peer)
WEIGHTS = {
    "wrong_task": 1.0,  # question or answer key is not what task and seed make
    "copied": 1.0,
    "not_own": 1.0,  # a question that belongs to another peer or round
    "too_hard": 1.0,  # a completion that had to be killed while it was scored
    "from_future": 1.0,
    "stale": 0.25,
    "wrong_version": 0.0,  # of another release
    "no_groups": 0.0,
    "bad_reply": 2.0,
    "bad_signature": 2.0,
    "bomb": 4.0,
}
_RECORD_WEIGHT = 2.0  # any other reason of a RecordError: the bytes are not what they claim to be


@dataclass
class _Standing:
    """A peer's credit and blame at `at`."""

    credit: float = 0.0
    blame: float = 0.0
    at: float = 0.0
    bans: int = 0
    banned_until: float = 0.0

    def fade(self, now: float) -> None:
        factor = math.exp2(-(now - self.at) / HALF_LIFE_SECONDS)
        self.credit, self.blame, self.at = self.credit * factor, self.blame * factor, now

    def add(self, *, credit: float = 0.0, blame: float = 0.0) -> None:
        self.credit, self.blame = self.credit + credit, self.blame + blame
        if (most := max(self.credit, self.blame)) > _MOST:  # the ratio stays
            self.credit, self.blame = self.credit * _MOST / most, self.blame * _MOST / most


class Reputation:
    """Standings of the peers met lately; the least recently judged are forgotten first, banned ones last."""

    def __init__(self, max_peers: int = MAX_PEERS) -> None:
        self._max_peers = max_peers
        self._standings: OrderedDict[str, _Standing] = OrderedDict()
        self.reasons: Counter[str] = Counter()
        self.bans = 0

    def praise(self, peer: str, now: float, count: int = 1) -> None:
        """`count` groups of `peer` were good."""
        standing = self._standing(peer, now)
        standing.add(credit=count)

    def blame(self, peer: str, reason: str, now: float, count: int = 1) -> None:
        """`peer` did something wrong, `count` times."""
        self.reasons[reason] += count
        if WEIGHTS.get(reason, _RECORD_WEIGHT) == 0.0:
            return
        standing = self._standing(peer, now)
        standing.add(blame=WEIGHTS.get(reason, _RECORD_WEIGHT) * count)
        if (
            standing.blame < BAN_AT
            or standing.blame < standing.credit / BLAME_PER_CREDIT
            or now < standing.banned_until
        ):
            return
        standing.banned_until = now + min(FIRST_BAN_SECONDS * 2.0**standing.bans, LONGEST_BAN_SECONDS)
        standing.bans += 1
        standing.blame = standing.credit = 0.0  # after the ban it may prove itself
        self.bans += 1

    def is_banned(self, peer: str, now: float) -> bool:
        """Whether `peer` is not asked now."""
        standing = self._standings.get(peer)
        return standing is not None and now < standing.banned_until

    def is_proven(self, peer: str, now: float) -> bool:
        """Whether `peer` has given us good groups lately and little else."""
        standing = self._standings.get(peer)
        if standing is None or now < standing.banned_until:
            return False
        standing.fade(now)
        return standing.credit >= 1.0 and standing.credit > standing.blame

    def banned(self, now: float) -> list[str]:
        """Peers banned now."""
        return [peer for peer, standing in self._standings.items() if now < standing.banned_until]

    def _standing(self, peer: str, now: float) -> _Standing:
        standing = self._standings.setdefault(peer, _Standing(at=now))
        self._standings.move_to_end(peer)
        standing.fade(now)
        if len(self._standings) > self._max_peers:
            # identities are free, so a flood of them must not wash out the bans
            oldest = (name for name, entry in self._standings.items() if now >= entry.banned_until and name != peer)
            victim = next(oldest, None) or next(iter(self._standings))
            del self._standings[victim]
        return standing
