"""Page `/identity`: account, peers with their states, what is missing to register, and the import of another key."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import Response

from login_proxy import identity_state, preflight, texts
from login_proxy.backup.bundle import BundleError, private_key
from login_proxy.identity_state import Identity
from login_proxy.preflight import Check
from login_proxy.texts import wallet as words
from login_proxy.web.routes import Access, Route
from login_proxy.web.site import Site, go
from login_proxy.web.view import Badge
from login_proxy.web.visit import Visit
from swarm_core.errors import FatalError
from swarm_core.names import peer_name

_TONES = {True: ("check_ok", "good"), False: ("check_bad", "bad"), None: ("check_unknown", "warn")}


@dataclass(frozen=True)
class PeerRow:
    """One own peer."""

    name: str
    peer_id: str
    node: str
    state: Badge
    remedy: str


class IdentityPages:
    """The account and its peers."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            Route("GET", "/identity", Access.READER, self.show, nav="nav_identity"),
            Route("POST", "/identity/key", Access.PROVED, self.import_key, form=("key",)),
        ]

    async def show(self, visit: Visit) -> Response:
        """Everything about the identity."""
        return await self._page(visit)

    async def import_key(self, visit: Visit) -> Response:
        """Use an account that the operator owns already."""
        form = await visit.form() or {}
        try:
            identity = private_key(form.get("key", ""))
        except BundleError:
            return await self._page(visit, HTTPStatus.BAD_REQUEST, words.KEY_BAD)
        try:
            await self._node.restore(identity)
        except FatalError as error:
            return await self._page(visit, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        self._node.audit.add("key_imported", identity.account or "", visit.address)
        return go("/identity")

    async def _page(self, visit: Visit, status: HTTPStatus = HTTPStatus.OK, error: str = "") -> Response:
        node = self._node
        account = node.wallet.address if node.wallet is not None else None
        await node.peers.views()
        known = node.peers.known()
        situation = node.situation()
        unregistered = [peer for peer in known if peer not in situation.registered and peer not in situation.foreign]
        asked = next(iter([*unregistered, *known]), None)
        found = await preflight.run(node.client, account, asked, node.settings.fee_cap)
        whole = identity_state.of_service(situation, known)
        return self._site.render(
            visit, "identity.html", status, error=error, account=account or "", chain_id=node.settings.chain_id,
            contract=node.store.target.contract, market=node.store.target.market, state=_badge(whole),
            remedy=whole.remedy, peers=[_row(situation, peer, label) for peer, label in known.items()],
            checks=[_check(check) for check in found.checks], probes=found.probes,
            missing=texts.ether(found.missing) if found.missing else "",
            balance=texts.ether(found.balance) if found.balance is not None else "",
        )  # fmt: skip


def _row(situation: identity_state.Situation, peer: str, label: str) -> PeerRow:
    identity = identity_state.of_peer(situation, peer)
    return PeerRow(peer_name(peer), peer, label, _badge(identity), identity.remedy)


def _badge(identity: Identity) -> Badge:
    label, tone = texts.STATES[identity.state]
    return Badge(label, tone, identity.reason)


def _check(check: Check) -> dict[str, str]:
    key, tone = _TONES[check.ok]
    return {"name": check.name, "words": words.PAGE[key], "tone": tone, "detail": check.detail}
