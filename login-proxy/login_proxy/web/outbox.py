"""Page `/outbox`: what waits, was sent, counts or was refused and why; local against on-chain totals."""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.responses import Response

from login_proxy import texts
from login_proxy.outbox.intents import Kind, State
from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site
from login_proxy.web.view import OutboxRow, outbox_line, outbox_row, span
from login_proxy.web.visit import Visit
from swarm_core.status import PeerAccount

_SHOWN = 100


@dataclass(frozen=True)
class Totals:
    """Rewards of one peer: earned, delivered, on chain (None: the chain does not answer)."""

    name: str
    node: str
    earned: int
    delivered: int
    chain: int | None

    @property
    def equal(self) -> bool:
        """Whether the chain shows what was delivered."""
        return self.chain == self.delivered


@dataclass(frozen=True)
class Submission:
    """A row with its age and how often it was refused."""

    row: OutboxRow
    tries: int
    age: str


class OutboxPages:
    """The outbox as a table."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [Route("GET", "/outbox", Access.READER, self.show, nav="nav_outbox")]

    async def show(self, visit: Visit) -> Response:
        """The newest submissions, all or those in one state (`?state=`)."""
        node = self._node
        wanted = visit.request.query_params.get("state", "")
        state = State(wanted) if wanted in set(State) else None
        status = await node.status()
        counts = node.store.counts()
        now = time.time()
        rows = [
            Submission(outbox_row(intent), intent.tries, span(now - intent.created_at))
            for intent in node.store.recent(_SHOWN, state)
        ]
        return self._site.render(
            visit, "outbox.html", totals=[_totals(peer) for peer in status.peers], rows=rows,
            counts=[(texts.KINDS[kind.value], outbox_line(counts.get(kind.value, {}))) for kind in Kind],
            states=[(one.value, texts.OUTBOX_STATES[one.value]) for one in State],
            wanted=state.value if state is not None else "", last_error=status.last_error,
        )  # fmt: skip


def _totals(peer: PeerAccount) -> Totals:
    return Totals(peer.peer_name, peer.node, peer.local_total, peer.delivered_total, peer.chain_total)
