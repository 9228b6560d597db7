"""The bootnodes to dial: those of the settings and those the worker read from the chain.

Works with `addresses`. Bad addresses from the chain are counted and left out, never an error.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from swarm_core.log import get_logger
from swarm_core.status import BootnodeStatus
from swarm_dht.addresses import Address, Bootnode, parse_bootnode

_MAX_BOOTNODES = 32
_ANSWER_SECONDS = 2.0
log = get_logger("bootnodes")


class Bootnodes:
    """The list; `news` is set when it changed."""

    @dataclass
    class Entry:
        """A bootnode with where it came from and the last dialling error."""

        bootnode: Bootnode
        source: Literal["settings", "chain"]
        error: str = ""

    def __init__(self, configured: Iterable[str], own_id: str) -> None:
        self._own_id = own_id
        self.bad = 0
        self._entries = self._parse(configured, "settings")
        self.news = asyncio.Event()

    def learn(self, addresses: Iterable[str]) -> None:
        """Replace what came from the chain by `addresses`; what does not parse is counted."""
        configured = [entry for entry in self._entries if entry.source == "settings"]
        old = {entry.bootnode: entry for entry in self._entries}
        texts = {entry.bootnode.text for entry in configured}
        learnt = [old.get(entry.bootnode, entry) for entry in self._parse(addresses, "chain", texts)]
        entries = configured + learnt
        if [entry.bootnode for entry in entries] != [entry.bootnode for entry in self._entries]:
            log.info("bootnodes learnt from the chain", count=len(learnt))
            self.news.set()
        self._entries = entries

    def ids(self) -> set[str]:
        """Peer ids of all bootnodes."""
        return {entry.bootnode.peer_id for entry in self._entries}

    def all(self) -> list[Bootnode]:
        """The bootnodes, those of the settings first."""
        return [entry.bootnode for entry in self._entries]

    def missing(self, connected: Collection[str], table: Collection[str]) -> list[Entry]:
        """Bootnodes that are not both connected and in the routing table; the connected ones' errors are cleared."""
        missing = []
        for entry in self._entries:
            if entry.bootnode.peer_id in connected and entry.bootnode.peer_id in table:
                entry.error = ""
            else:
                missing.append(entry)
        return missing

    def status(self, table: Collection[str]) -> list[BootnodeStatus]:
        """For `GET /v1/status`."""
        return [
            BootnodeStatus(
                address=entry.bootnode.text,
                source=entry.source,
                connected=entry.bootnode.peer_id in table,
                error="" if entry.bootnode.peer_id in table else entry.error,
            )
            for entry in self._entries
        ]

    def __len__(self) -> int:
        return len(self._entries)

    def _parse(
        self, texts: Iterable[str], source: Literal["settings", "chain"], known: Collection[str] = ()
    ) -> list[Entry]:
        entries: dict[str, Bootnodes.Entry] = {}
        for text in list(texts)[:_MAX_BOOTNODES]:
            try:
                bootnode = parse_bootnode(text.strip())
            except ValueError as error:
                self.bad += 1
                log.warning("bootnode address left out", error=str(error))
                continue
            if bootnode.peer_id != self._own_id and bootnode.text not in known:
                entries[bootnode.text] = Bootnodes.Entry(bootnode, source)
        return list(entries.values())


async def answers(address: Address) -> bool:
    """Whether something listens there. A failed dial makes p2pd wait longer each time before it tries that peer again
    (minutes, in the end); so it is asked to dial only what a plain TCP connection reaches. QUIC cannot be probed."""
    if address.transport != "tcp":
        return True
    try:
        async with asyncio.timeout(_ANSWER_SECONDS):
            _, writer = await asyncio.open_connection(address.host, address.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
