"""Fixtures: installations of the real login service, daemons with keys of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.chains import LocalChain
from tests.support.login_service import Daemon, FaultyRpc, Login

from swarm_core.identity import PeerKey, generate_key, parse_key


@pytest.fixture(scope="session")
def peer_keys() -> list[PeerKey]:
    """Two peer keys; making one takes a moment."""
    return [parse_key(generate_key()) for _ in range(2)]


@pytest.fixture
def make_login(chain: LocalChain, tmp_path: Path) -> Iterator[Callable[..., Login]]:
    """Makes installations on `chain`; what runs at the end is stopped."""
    made: list[Login] = []

    def make(name: str = "login", **options: object) -> Login:
        made.append(Login(tmp_path / name, chain, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for login in made:
        login.kill()


@pytest.fixture
def make_daemon() -> Iterator[Callable[[Path, PeerKey], Daemon]]:
    """Makes daemons at a socket; all are stopped after the test."""
    made: list[Daemon] = []

    def make(socket: Path, key: PeerKey) -> Daemon:
        made.append(Daemon(socket, key))
        return made[-1]

    yield make
    for daemon in made:
        daemon.close()


@pytest.fixture
def faulty_rpc(chain: LocalChain) -> Iterator[FaultyRpc]:
    """An RPC of `chain` that can be made to fail."""
    proxy = FaultyRpc(chain.rpc_url)
    yield proxy
    proxy.close()
