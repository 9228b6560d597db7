"""Daemons for the integration tests: a fresh set each test, and a running swarm of three for a whole module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.daemons import Daemons, Swarm, daemons_below


@pytest.fixture
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemons]:
    """Makes daemons, closed after the test."""
    with daemons_below(tmp_path_factory.mktemp("dht")) as made:
        yield made


@pytest.fixture(scope="module")
def swarm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """Three daemons of one swarm."""
    with daemons_below(tmp_path_factory.mktemp("swarm")) as made:
        bootnode = made.start("bootnode").up()
        one, two = (made.start(name, bootnode.address) for name in ("one", "two"))
        for daemon in (bootnode, one, two):
            daemon.wait(lambda status: status["state"] == "ready" and status["peers"] == 2)
        yield Swarm(bootnode, one, two)
