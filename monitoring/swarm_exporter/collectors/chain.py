"""The contract: round, and what it has counted for the peers of this host. Answers "is it counting"."""

from __future__ import annotations

from swarm_exporter.chain_reader import ChainReader, Reading
from swarm_exporter.peers import OwnPeers
from swarm_exporter.samples import Samples


class ChainCollector:
    """Adds the newest reading of the chain."""

    name = "chain"

    def __init__(self, reader: ChainReader, node: str, peers: OwnPeers) -> None:
        self._reader = reader
        self._node = node
        self._peers = peers

    async def collect(self, samples: Samples) -> bool:
        own = self._peers.current()
        reading, answered = await self._reader.newest(list(own))
        samples.add("rlswarm_component_up", answered, self._node, self.name)
        if reading is not None:
            add_reading(samples, self._node, reading, own)
        return answered


def add_reading(samples: Samples, node: str, reading: Reading, own: dict[str, str]) -> None:
    """Samples of a reading; `own` is peer id → node label, peers no longer in it are left out."""
    samples.add("rlswarm_chain_round", reading.round.round, node)
    samples.add("rlswarm_chain_stage", reading.round.stage, node)
    samples.add("rlswarm_chain_block", reading.round.block, node)
    samples.add("rlswarm_chain_read_timestamp_seconds", reading.taken_at, node)
    for peer_id, peer in reading.peers.items():
        if (label := own.get(peer_id)) is None:
            continue
        samples.add("rlswarm_peer_registered", peer.registered, label, peer_id)
        for name, value in (("rewards", peer.rewards), ("wins", peer.wins), ("votes", peer.votes)):
            samples.add(f"rlswarm_peer_{name}", value, label, peer_id)
            samples.add(f"gensyn_{name}", value, label, peer_id)
