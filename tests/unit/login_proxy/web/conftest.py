"""A whole login service in memory: real stores and routes, a chain that is not there, no listeners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.fake_chain import CONTRACT

from login_proxy import keystore
from login_proxy.access import passwords
from login_proxy.access.store import AccessStore
from login_proxy.node import LoginNode
from login_proxy.node_chain import NodeChain
from login_proxy.outbox.intents import Target
from login_proxy.outbox.store import OutboxStore
from login_proxy.settings import LoginSettings

PEER = "QmPeerA"


@pytest.fixture
def make_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LoginNode]]:
    """Makes services whose own peer is `PEER`."""
    monkeypatch.setattr(keystore, "_ITERATIONS", 2)
    monkeypatch.setattr(passwords, "_MEMORY_KIB", 64)  # what it costs is tested in test_passwords.py
    monkeypatch.setattr(passwords, "_PASSES", 1)
    made: list[LoginNode] = []

    def make(**overrides: object) -> LoginNode:
        for name in ("keys/account", "state", "run"):
            (tmp_path / name).mkdir(parents=True, exist_ok=True)
        settings = LoginSettings(
            keys_dir=tmp_path / "keys", state_dir=tmp_path / "state", run_dir=tmp_path / "run", coordinator=CONTRACT,
            peer_keys_dir=tmp_path / "peer-keys", rpc_url="http://127.0.0.1:1", **overrides,
        )  # fmt: skip
        store = OutboxStore(tmp_path / "state/outbox.sqlite", Target(settings.chain_id, CONTRACT))
        store.add_peer(PEER, "main")
        access = AccessStore(tmp_path / "state/access.sqlite")
        made.append(LoginNode(settings, store, access, NodeChain(settings)))
        return made[-1]

    yield make
    for node in made:
        node.store.close()
        node.access.close()
