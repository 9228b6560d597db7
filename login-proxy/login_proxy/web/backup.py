"""Page `/backup`: download an encrypted backup, restore one after a look at it, mark this node as moved.

Works with `backup.bundle` (the format) and `node` (what a restore changes). Every action needs a fresh proof of who
asks. A backup that was opened waits in memory for the confirmation, for some minutes, for the session that opened it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import Response

from login_proxy.backup.bundle import BEGIN, MAX_TEXT_BYTES, BundleError, Identity, describe, read_text, seal
from login_proxy.texts import access as access_words
from login_proxy.texts import wallet as words
from login_proxy.web.routes import Access, Route
from login_proxy.web.security import moment
from login_proxy.web.site import Site, go
from login_proxy.web.visit import Visit
from swarm_core.errors import FatalError
from swarm_core.names import peer_name

_WAIT_SECONDS = 300.0
_MAX_FORM_BYTES = MAX_TEXT_BYTES + MAX_TEXT_BYTES // 4  # URL-encoded; less than what Caddy lets through


@dataclass(frozen=True)
class Waiting:
    """An opened backup that waits for its confirmation."""

    ticket: str
    identity: Identity
    session: bytes
    until: float


class BackupPages:
    """Export, restore, move."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._node = site.node
        self._one = asyncio.Lock()  # a key derivation takes 64 MiB
        self._waiting: Waiting | None = None

    def routes(self) -> list[Route]:
        """Who may call what."""
        return [
            Route("GET", "/backup", Access.OWNER, self.show, nav="nav_backup"),
            Route("POST", "/backup/export", Access.PROVED, self.export, form=("passphrase", "passphrase_again")),
            Route("POST", "/backup/open", Access.PROVED, self.open, form=("bundle", "passphrase")),
            Route("POST", "/backup/restore", Access.PROVED, self.restore, form=("ticket",)),
            Route("POST", "/backup/moved", Access.PROVED, self.moved, form=("moved",)),
        ]

    async def show(self, visit: Visit) -> Response:
        """The forms."""
        return self._page(visit, done="done" in visit.request.query_params)

    async def export(self, visit: Visit) -> Response:
        """The backup as a download."""
        form = await visit.form()
        if form is None:
            return self._page(visit, HTTPStatus.BAD_REQUEST, access_words.BAD_FORM)
        passphrase = form.get("passphrase", "")
        if passphrase != form.get("passphrase_again", ""):
            return self._page(visit, HTTPStatus.BAD_REQUEST, words.BACKUP_MISMATCH)
        try:
            identity = await asyncio.to_thread(self._node.vault.read)
        except FatalError as error:
            return self._page(visit, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        if identity.account is None:
            return self._page(visit, HTTPStatus.CONFLICT, words.BACKUP_NOTHING)
        if self._one.locked():
            return self._page(visit, HTTPStatus.TOO_MANY_REQUESTS, words.BACKUP_BUSY)
        target = self._node.store.target
        async with self._one:
            try:
                text = await asyncio.to_thread(seal, identity, passphrase, target.chain_id, target.contract)
            except BundleError as error:
                return self._page(visit, HTTPStatus.BAD_REQUEST, str(error))
        self._node.vault.note_backup(identity)
        self._node.audit.add("identity_exported", identity.peer_id or "", visit.address)
        name = peer_name(identity.peer_id).replace(" ", "-") if identity.peer_id else "account"
        disposition = f'attachment; filename="rl-swarm-{name}-{time.strftime("%Y%m%d")}.txt"'
        return Response(text, media_type="text/plain", headers={"content-disposition": disposition})

    async def open(self, visit: Visit) -> Response:
        """Open a backup and show what it would replace."""
        form = await visit.form(_MAX_FORM_BYTES)
        if form is None:
            return self._page(visit, HTTPStatus.BAD_REQUEST, access_words.BAD_FORM)
        if self._one.locked():
            return self._page(visit, HTTPStatus.TOO_MANY_REQUESTS, words.BACKUP_BUSY)
        text = form.get("bundle", "")
        async with self._one:
            try:
                identity = await asyncio.to_thread(read_text, text, form.get("passphrase", ""))
                header = describe(text) if BEGIN in text else None
            except BundleError as error:
                return self._page(visit, HTTPStatus.BAD_REQUEST, str(error))
        ticket = secrets.token_urlsafe(24)
        self._waiting = Waiting(ticket, identity, _session(visit), time.monotonic() + _WAIT_SECONDS)
        wallet = self._node.wallet
        return self._site.render(
            visit, "restore.html", ticket=ticket, new=_shown(identity.peer_id, identity.account),
            present=_shown(self._node.vault.peer_id(), wallet.address if wallet is not None else None),
            extra=[(slot, _shown(peer, None)) for slot, peer in sorted(identity.extra_peers.items())],
            made_for="" if header is None else f"{header.chain_id} · {header.contract}",
            made_at="" if header is None else moment(header.created_at),
        )  # fmt: skip

    async def restore(self, visit: Visit) -> Response:
        """Replace the identity by the one that was opened."""
        form = await visit.form() or {}
        waiting, self._waiting = self._waiting, None
        if (
            waiting is None
            or time.monotonic() > waiting.until
            or waiting.session != _session(visit)
            or not secrets.compare_digest(waiting.ticket.encode(), form.get("ticket", "").encode())
        ):
            return self._page(visit, HTTPStatus.CONFLICT, words.RESTORE_EXPIRED)
        try:
            await self._node.restore(waiting.identity)
        except FatalError as error:
            return self._page(visit, HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        self._node.audit.add("identity_imported", waiting.identity.peer_id or "", visit.address)
        return go("/backup?done")

    async def moved(self, visit: Visit) -> Response:
        """Mark the identity as handed over, or take that back."""
        form = await visit.form() or {}
        moved = form.get("moved") == "1"
        await self._node.set_moved(moved)
        self._node.audit.add("submissions_changed", "moved" if moved else "not moved", visit.address)
        return go("/backup")

    def _page(
        self, visit: Visit, status: HTTPStatus = HTTPStatus.OK, error: str = "", *, done: bool = False
    ) -> Response:
        vault, wallet = self._node.vault, self._node.wallet
        last = vault.last_backup()
        current = last is not None and not self._node.backup_missing and wallet is not None
        return self._site.render(
            visit, "backup.html", status, error=error, done=words.PAGE["restore_done"] if done else "",
            last=moment(last.at) if last is not None and current else words.PAGE["backup_never"],
            present=_shown(vault.peer_id(), wallet.address if wallet is not None else None),
            extra=[_shown(peer, None) for peer in sorted(vault.extra.ids() or ())], longest=MAX_TEXT_BYTES,
        )  # fmt: skip


def _session(visit: Visit) -> bytes:
    return visit.session.stored.token_hash if visit.session is not None else b""


def _shown(peer_id: str | None, account: str | None) -> dict[str, str]:
    return {
        "peer_id": peer_id or "", "peer_name": peer_name(peer_id) if peer_id else "", "account": account or "",
    }  # fmt: skip
