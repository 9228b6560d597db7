"""Fixtures of the integration tier: a real chain (`anvil`, `chain`), fresh for each test.

`session_chain` is one chain for tests that only add to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.chains import Anvil, LocalChain, anvil_binary, deploy_chain


@pytest.fixture(scope="session")
def anvil_path() -> Path:
    """The anvil binary that the product's image holds, or the one in PATH."""
    return anvil_binary()


@pytest.fixture
def start_anvil(anvil_path: Path) -> Iterator[Callable[[], Anvil]]:
    """Starts chains; all are stopped after the test."""
    started: list[Anvil] = []

    def start() -> Anvil:
        started.append(Anvil(anvil_path))
        return started[-1]

    yield start
    for anvil in started:
        anvil.stop(kill=True)


@pytest.fixture
def anvil(start_anvil: Callable[[], Anvil]) -> Anvil:
    """An empty chain."""
    return start_anvil()


@pytest.fixture
def chain(anvil: Anvil, tmp_path: Path) -> LocalChain:
    """A chain with a deployed coordinator and role keys."""
    return deploy_chain(anvil, tmp_path / "chain")


@pytest.fixture(scope="session")
def session_chain(anvil_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalChain]:
    """As `chain`, shared by all tests of the run."""
    anvil = Anvil(anvil_path)
    try:
        yield deploy_chain(anvil, tmp_path_factory.mktemp("chain"))
    finally:
        anvil.stop(kill=True)
