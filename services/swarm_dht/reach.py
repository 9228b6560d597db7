"""Can others dial us? A few peers are asked to try our port at the address that they see us come from.

`public`: somebody could. `private`: those who tried could not; then we join as a client (no peer is sent to us) and
leave signed batches with public peers (`guests`). A peer dials only the address it sees the caller at, so nobody can
send it elsewhere. A second setting overrules the probe.
"""

from __future__ import annotations

import asyncio
import random
import struct
from typing import Literal

from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_dht.addresses import Address, parse_known
from swarm_dht.bootnodes import answers
from swarm_dht.generation import CALL_ERRORS, Carried, Generation
from swarm_dht.supervisor import Supervisor

Reachability = Literal["unknown", "public", "private"]
_PORT = struct.Struct(">H")
_ASKED = 3
_FIRST_SECONDS = 3.0
_AGAIN_SECONDS = 600.0
_RETRY_SECONDS = 10.0
YES, NO, UNKNOWN = b"\x01", b"\x00", b"\x02"
log = get_logger("reach")


async def dial_back(generation: Generation, caller: str, request: bytes) -> bytes:
    """What we answer a caller that wants to know: whether its port answers at the address it comes from."""
    if len(request) != _PORT.size:
        return UNKNOWN
    (port,) = _PORT.unpack(request)
    seen = [address for text in (await generation.connected()).get(caller, []) if (address := parse_known(text))]
    if not seen or port == 0:
        return UNKNOWN
    host = seen[0].host
    kind = "ip6" if ":" in host else "ip4"
    return YES if await answers(Address(f"/{kind}/{host}/tcp/{port}", host, port, "tcp")) else NO


class Reach:
    """Asks after joining, and now and then. `state` is what is known, or what the setting says."""

    def __init__(
        self,
        wanted: Literal["auto", "public", "private"],
        port: int,
        supervisor: Supervisor,
        carried: Carried,
        rng: random.Random,
        *,
        announced: bool = False,
    ) -> None:
        self._announced = announced
        self._auto = wanted == "auto"
        self._port = port
        self._supervisor = supervisor
        self._carried = carried
        self._rng = rng
        self.state: Reachability = "unknown" if wanted == "auto" else wanted
        carried.client_mode = wanted == "private"

    @property
    def private(self) -> bool:
        """Whether others cannot dial us."""
        return self.state == "private"

    async def run(self, service: Service) -> None:
        """Until asked to stop."""
        pause = _FIRST_SECONDS
        while not await service.sleep(pause):
            generation = self._supervisor.generation
            pause = _RETRY_SECONDS
            if not self._auto or generation is None or not (table := generation.table()):
                continue
            verdict = await self._ask(generation, table)
            if verdict is not None:
                pause = _AGAIN_SECONDS
                self._conclude(generation, verdict)

    async def _ask(self, generation: Generation, table: list[str]) -> bool | None:
        asked = self._rng.sample(table, min(_ASKED, len(table)))
        told = await asyncio.gather(*(self._try(generation, peer) for peer in asked))
        return True if YES in told else False if NO in told else None

    async def _try(self, generation: Generation, peer: str) -> bytes:
        try:
            return await generation.reach(peer, _PORT.pack(self._port))
        except CALL_ERRORS:  # also peers of an older version
            return UNKNOWN

    def _conclude(self, generation: Generation, reachable: bool) -> None:
        state: Reachability = "public" if reachable else "private"
        if state == self.state:
            return
        log.info("reachability", now=state, before=self.state, port=self._port)
        self.state = state
        if self._announced:  # the address we come from need not be the one that the operator announces
            if self.private:
                log.warning("others could not dial this node back; check SWARM_ANNOUNCE and the firewall")
            return
        if self._carried.client_mode != (state == "private"):
            self._carried.client_mode = state == "private"
            reason = "others cannot dial us: joining as a client" if self.private else "others can dial us now"
            self._supervisor.replace(generation, reason)
