"""Puts the login service together: files, lock, account, the three listeners, the writer.

Order matters: everything that can be wrong with the files is found before a port is opened; the lock on the wallet is
taken before anything is signed.
"""

from __future__ import annotations

import contextlib
from functools import partial
from urllib.parse import urlsplit

from login_proxy.access import plain_http
from login_proxy.access.certificate import ensure_certificate
from login_proxy.access.guards import Guards
from login_proxy.access.proxied import TrustedProxy
from login_proxy.access.store import AccessStore
from login_proxy.api_token import ensure_token
from login_proxy.node import LoginNode
from login_proxy.node_chain import NodeChain
from login_proxy.outbox.store import OutboxStore
from login_proxy.settings import LoginSettings
from login_proxy.target import wait_for_target
from login_proxy.web.page import Page
from login_proxy.web.status_api import make_status_api
from login_proxy.web.worker_api import make_worker_api
from swarm_core.log import get_logger
from swarm_core.runner import Service
from swarm_core.uds import serve_tcp, serve_unix

log = get_logger("login")

_FLUSH_SECONDS = 3.0
_TOKEN_CHECK_SECONDS = 2.0  # a reset on the command line is noticed that soon
_PROXY = "caddy"  # name of its service in docker-compose.yml
_ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - inside the container; what is published is Compose's decision
# idle keep-alive connections and slow clients must not pile up
_MAX_CONNECTIONS = 256


async def serve(service: Service, settings: LoginSettings) -> None:
    """Set everything up; returns when it runs."""
    target = await wait_for_target(service, settings)
    if target is None:
        return
    token = ensure_token(settings.api_token_file)
    access = AccessStore(settings.state_dir / "access.sqlite")
    store = OutboxStore(settings.state_dir / "outbox.sqlite", target)
    client = NodeChain(settings)
    node = LoginNode(settings, store, access, client)
    resources = contextlib.ExitStack()
    resources.enter_context(node.keystore.lock())

    async def close() -> None:
        await node.peers.close()
        await client.close()
        store.close()
        access.close()
        resources.close()

    service.on_close("files and connections", close)
    await node.open_account(create=settings.login == "auto" or node.claimed)
    _serve_page(service, node)
    serve_tcp(service, make_worker_api(node, token), _ANY_ADDRESS, settings.api_port, "SWARM_API_PORT")
    serve_unix(service, make_status_api(node), settings.login_run_dir / "login.sock")

    async def flush() -> None:
        await node.writer.flush(_FLUSH_SECONDS)

    service.on_close("outbox", flush)
    service.spawn("outbox", node.writer.run(service))
    service.spawn("setup token", _offer_setup_token(service, node))
    service.spawn("identity", _notice_move(service, node))
    log.info("login service ready", mode=settings.login, origins=" ".join(settings.origins()), contract=target.contract)


def _serve_page(service: Service, node: LoginNode) -> None:
    """The public listeners: http, meant for localhost or Caddy, and TLS with a certificate of our own if wanted."""
    settings = node.settings
    app = Page(node).app()
    proxy = TrustedProxy(_PROXY) if settings.access == "domain" else None
    serve_tcp(
        service, Guards(app, settings.origins(), node.limits, proxy=proxy), _ANY_ADDRESS, settings.http_port,
        "SWARM_HTTP_PORT", limit_concurrency=_MAX_CONNECTIONS,
    )  # fmt: skip
    if settings.access != "https":
        return
    certificate = ensure_certificate(settings.state_dir / "tls", urlsplit(settings.public_url or "").hostname)
    node.fingerprint = certificate.fingerprint
    guards = Guards(app, settings.https_origins(), node.limits, addresses=settings.public_url is None)
    serve_tcp(
        service, guards, _ANY_ADDRESS, settings.https_port, "SWARM_HTTPS_PORT", limit_concurrency=_MAX_CONNECTIONS,
        ssl_context_factory=partial(plain_http.context, certificate),
    )  # fmt: skip
    log.info("page over TLS", port=settings.https_published_port, certificate_sha256=certificate.fingerprint)


async def _notice_move(service: Service, node: LoginNode) -> None:
    """Stop signing when the command line marks the identity as moved while the service runs."""
    while not await service.sleep(_TOKEN_CHECK_SECONDS):
        if node.vault.moved and node.wallet is not None:
            await node.set_moved(True)


async def _offer_setup_token(service: Service, node: LoginNode) -> None:
    """Show a setup token in the log while nobody owns the node: a new one when it expires, or after a reset."""
    while not service.stop.is_set():
        wanted = not node.claimed and not (node.settings.login == "auto" and node.settings.access == "local")
        if wanted and node.setup_token.expired():
            log.warning(
                "this node is unclaimed: open the page and paste the setup token",
                url=f"{node.settings.origins()[0]}/claim",
                setup_token=node.setup_token.rotate(),
            )
        if await service.sleep(_TOKEN_CHECK_SECONDS):
            return
