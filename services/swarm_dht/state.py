"""The daemon's state in one word and a reason, derived from what the parts see; changes are logged once."""

from __future__ import annotations

import time

from swarm_core.log import get_logger
from swarm_core.status import DhtState
from swarm_dht.bootnodes import Bootnodes
from swarm_dht.membership import Membership
from swarm_dht.supervisor import Supervisor

_MAX_CLOCK_OFFSET = 3.0  # hivemind's own bound between two DHT nodes
log = get_logger("state")


def derive(
    *, generation: int, up: bool, attempted: bool, peers: int, bootnodes: int, clock_offset: float, reason: str
) -> tuple[DhtState, str]:
    """(state, reason) of a daemon whose p2pd number `generation` is `up` and has `attempted` to join."""
    if not up:
        return ("starting" if generation == 0 else "rebuilding"), reason
    if peers:
        if abs(clock_offset) > _MAX_CLOCK_OFFSET:
            return "clock_skew", f"the clock differs from the other peers' by {-clock_offset:+.0f} s; set it by NTP"
        return "ready", ""
    if not attempted:
        return ("starting" if generation <= 1 else "rebuilding"), reason
    if not bootnodes:
        return "isolated", "no bootnode is known and no peer has called yet"
    return "isolated", f"none of {bootnodes} bootnodes can be reached"


class StateKeeper:
    """The state with the time since when it holds."""

    def __init__(self, supervisor: Supervisor, membership: Membership, bootnodes: Bootnodes) -> None:
        self._supervisor = supervisor
        self._membership = membership
        self._bootnodes = bootnodes
        self.state: DhtState = "starting"
        self.reason = ""
        self.since = time.time()

    def refresh(self) -> DhtState:
        """Look again."""
        number = self._supervisor.number
        state, self.reason = derive(
            generation=number,
            up=self._supervisor.generation is not None,
            attempted=self._membership.attempted >= number,
            peers=self._membership.count(),
            bootnodes=len(self._bootnodes),
            clock_offset=self._membership.clock_offset,
            reason=self._supervisor.reason,
        )
        if self._supervisor.degraded:
            self.reason = "; ".join(filter(None, (self.reason, "p2pd dies again and again: it is rebuilt with pauses")))
        if state != self.state:
            write = log.info if state == "ready" else log.warning
            write("state", now=state, before=self.state, reason=self.reason or "-", peers=self._membership.count())
            self.state, self.since = state, time.time()
        return self.state
