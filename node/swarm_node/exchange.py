"""Client of the DHT daemon: publish own groups, collect other peers' groups, learn the peer id.

A dead or slow daemon never stops a round: every call is bounded, and its failure is an answer ("unreachable").
Works with `dht.sock` (ARCHITECTURE.md 4.1).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgpack

from swarm_core.client import UnixClient
from swarm_core.errors import RecordError, Refused, Unavailable
from swarm_core.log import get_logger
from swarm_core.records import GroupBatch, RolloutGroup
from swarm_core.status import DhtStatus, KnownPeer

_STATUS_SECONDS = 2.0
_PUBLISH_SECONDS = 3.0
_GENRL_SECONDS = 5.0
_SPARE_SECONDS = 1.0  # for the way back: the daemon's own deadline ends earlier than ours
_MAX_PEERS = 32
log = get_logger("exchange")


@dataclass(frozen=True)
class ExternalGroup:
    """A group as another peer sent it; nothing in it is checked but its form."""

    peer_id: str
    age: float
    group: RolloutGroup
    round: int = 0
    source: str = "direct"  # or genrl: read from the key of a round, its author perhaps a genuine genrl peer


@dataclass
class Collected:
    """What came back from other peers. `state` says whether the daemon was there and in the swarm."""

    state: str
    groups: list[ExternalGroup] = field(default_factory=list)
    rejected: dict[str, int] = field(default_factory=dict)


class Exchange:
    """One node's access to the swarm."""

    def __init__(self, socket: Path) -> None:
        self._client = UnixClient(socket)

    async def status(self) -> DhtStatus | None:
        """The daemon's status, None when it does not answer."""
        try:
            return DhtStatus.model_validate(await self._client.get_json("/v1/status", deadline=_STATUS_SECONDS))
        except (Unavailable, Refused, ValueError) as error:
            log.debug("no status from the daemon", error=str(error))
            return None

    async def publish(self, batch: GroupBatch) -> bool:
        """Offer `batch` to the swarm; False when the daemon did not take it."""
        try:
            await self._client.request("PUT", "/v1/groups", deadline=_PUBLISH_SECONDS, content=batch.encode())
        except (Unavailable, Refused, RecordError) as error:
            log.warning("own groups not published", round=batch.round, error=str(error))
            return False
        return True

    async def collect(
        self, want: int, seconds: float, max_age: float, wait: float = 0.0, genrl_round: int | None = None
    ) -> Collected:
        """At least `want` groups of random peers, or what came within `seconds`; up to `max_age` seconds old.

        `wait`: seconds that a peer with nothing new may hold its answer. With `genrl_round` also groups that genuine
        genrl peers share under that round's key.
        """
        ask: dict[str, float] = {
            "want": want,
            "max_peers": _MAX_PEERS,
            "deadline_ms": int(seconds * 1000),
            "max_age_s": max_age,
            "wait_s": wait,
        }
        if genrl_round is not None:
            ask["genrl_round"] = genrl_round
        try:
            answer = await self._client.request("POST", "/v1/collect", deadline=seconds + _SPARE_SECONDS, json=ask)
            counts = json.loads(answer.headers.get("x-swarm-collect", "{}"))
            entries = msgpack.unpackb(answer.content)
            collected = Collected("ready", rejected=dict(counts.get("rejected", {})))
            for peer_id, age, data, source in entries:
                batch = GroupBatch.decode(data)
                collected.groups += [ExternalGroup(peer_id, age, group, batch.round, source) for group in batch.groups]
        except (Unavailable, Refused) as error:
            log.warning("no external groups", error=str(error))
            return Collected("unreachable")
        except (RecordError, ValueError, TypeError, msgpack.UnpackException) as error:
            # our own daemon validated them already, so this is a version mismatch between the two processes
            log.error("the daemon's answer cannot be read", error=str(error))
            return Collected("unreadable")
        return collected

    async def publish_genrl(self, number: int, record: bytes) -> bool:
        """Offer `record` to genuine genrl peers under the key of round `number`; False when nobody holds it."""
        try:
            answer = await self._client.request(
                "PUT", f"/v1/genrl/{number}", deadline=_GENRL_SECONDS, content=record, idempotent=True
            )
        except (Unavailable, Refused) as error:
            log.warning("own groups not shared with genrl peers", round=number, error=str(error))
            return False
        return bool(answer.json().get("replicas"))

    async def report(self, verdicts: Sequence[tuple[str, str, int]]) -> None:
        """Tell the daemon what was wrong, or good, about groups: (peer, reason, count)."""
        rows = [{"peer": peer, "reason": reason, "count": count} for peer, reason, count in verdicts]
        try:
            await self._client.request("POST", "/v1/verdicts", deadline=_STATUS_SECONDS, json={"verdicts": rows})
        except (Unavailable, Refused) as error:
            log.debug("verdicts not told", error=str(error))

    async def peers(self) -> list[str]:
        """Peers that the daemon knows; none when it does not answer."""
        try:
            answer = await self._client.get_json("/v1/peers", deadline=_STATUS_SECONDS)
            return [KnownPeer.model_validate(entry).peer for entry in answer]
        except (Unavailable, Refused, ValueError, TypeError) as error:
            log.debug("no peers from the daemon", error=str(error))
            return []

    async def tell_owners(self, owners: Mapping[str, str | None]) -> bool:
        """Tell the daemon which accounts the contract names; False when it did not take them."""
        try:
            await self._client.request("PUT", "/v1/owners", deadline=_STATUS_SECONDS, json={"owners": dict(owners)})
        except (Unavailable, Refused) as error:
            log.debug("owners not told", error=str(error))
            return False
        return True

    async def offer_bootnodes(self, addresses: list[str]) -> bool:
        """Tell the daemon the bootnodes that the chain names; False when it did not take them."""
        try:
            await self._client.request("PUT", "/v1/bootnodes", deadline=_STATUS_SECONDS, json={"addresses": addresses})
        except (Unavailable, Refused) as error:
            log.debug("bootnodes not offered", error=str(error))
            return False
        return True

    async def sign_judge_request(self, audience: str, digest: str, issued_at: int, nonce: str) -> dict[str, str]:
        """The peer's public key and signature under a request to a judge. Raises Unavailable and Refused."""
        body = {"audience": audience, "digest": digest, "issued_at": issued_at, "nonce": nonce}
        path = "/v1/sign-judge-request"
        answer = (await self._client.request("POST", path, deadline=_STATUS_SECONDS, json=body)).json()
        return {name: str(answer[name]) for name in ("public_key", "signature")}

    async def close(self) -> None:
        """Close the connection pool."""
        await self._client.close()
