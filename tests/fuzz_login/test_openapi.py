"""schemathesis over the OpenAPI of both listeners of the login service: no 5xx, no unauthenticated success.

Generated requests, valid and not, go to the real apps: as a stranger and, for crashes only, as the owner. What each
route admits in detail is `tests/unit/login_proxy/web/test_routes.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus

import pytest
import schemathesis
from tests.support.openapi import ORIGIN, NoLimits, throw

from login_proxy.access import passwords
from login_proxy.access.guards import Guards
from login_proxy.access.methods import NewMethod
from login_proxy.access.store import AccessStore
from login_proxy.node import LoginNode
from login_proxy.outbox.intents import Target
from login_proxy.outbox.store import OutboxStore
from login_proxy.settings import LoginSettings
from login_proxy.web.page import Page
from login_proxy.web.routes import Access
from login_proxy.web.worker_api import make_worker_api
from swarm_chain.client import ChainClient

TOKEN = "t" * 43
EXAMPLES = 4
CONTRACT = "0x" + "ab" * 20


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoginNode]:
    """A claimed node whose chain is not there."""
    home = tmp_path_factory.mktemp("login")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "_MEMORY_KIB", 64)
        patch.setattr(passwords, "_PASSES", 1)
        for name in ("keys/account", "state", "run", "token"):
            (home / name).mkdir(parents=True)
        options = LoginSettings(
            keys_dir=home / "keys", state_dir=home / "state", run_dir=home / "run", coordinator=CONTRACT,
            api_token_file=home / "token/token", rpc_url="http://127.0.0.1:1",
        )  # fmt: skip
        store = OutboxStore(home / "state/outbox.sqlite", Target(options.chain_id, CONTRACT))
        store.add_peer("QmPeerA", "main")
        access = AccessStore(home / "state/access.sqlite")
        made = LoginNode(options, store, access, ChainClient(options))
        made.limits = NoLimits()
        access.claim(NewMethod("password", secret="no hash"))
        yield made
        store.close()
        access.close()


def test_the_page_gives_a_stranger_nothing_and_never_breaks(node: LoginNode) -> None:
    page = Page(node)
    app = page.app()
    open_to_all = {route.path for route in page.table if route.access in (Access.ANYONE, Access.CLAIMED)}

    def judge(method: str, path: str, status: int) -> None:
        assert status < 500, (method, path, status)
        doors = path in open_to_all and method == "GET"
        assert doors or not 200 <= status < 300 or path.endswith(("/options", "/message")), (method, path)

    headers = {"origin": ORIGIN, "host": "localhost:3000"}
    schema = schemathesis.openapi.from_dict(app.openapi())
    assert throw(Guards(app, [ORIGIN], NoLimits()), schema, headers, judge, EXAMPLES) > 20 * EXAMPLES


def test_the_page_never_breaks_for_its_owner(node: LoginNode) -> None:
    app = Page(node).app()
    document = app.openapi()
    del document["paths"]["/logout"]  # it would end the session under test; nothing is read there
    schema = schemathesis.openapi.from_dict(document)

    def judge(method: str, path: str, status: int) -> None:
        assert status < 500, (method, path, status)

    headers = {"origin": ORIGIN, "host": "localhost:3000", "cookie": f"swarm_session={node.sessions.start()}"}
    assert throw(Guards(app, [ORIGIN], NoLimits()), schema, headers, judge, EXAMPLES) > 20 * EXAMPLES


def test_the_worker_api_gives_a_stranger_nothing_and_never_breaks(node: LoginNode) -> None:
    app = make_worker_api(node, TOKEN)
    schema = schemathesis.openapi.from_dict(app.openapi())

    def stranger(method: str, path: str, status: int) -> None:
        assert status == HTTPStatus.UNAUTHORIZED, (method, path, status)

    def worker(method: str, path: str, status: int) -> None:
        assert status < 500, (method, path, status)

    assert throw(app, schema, {}, stranger, EXAMPLES) >= 4 * EXAMPLES
    # an answer at once: nobody waits for a receipt from a chain that is not there
    headers = {"authorization": f"Bearer {TOKEN}", "prefer": "respond-async"}
    assert throw(app, schema, headers, worker, EXAMPLES) >= 4 * EXAMPLES
