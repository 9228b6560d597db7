"""A fresh clone, the images built once, and whole stacks: `auto` (SWARM_LOGIN=auto) and `page` (nothing set)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.stack import Failed, Stack

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tracked and new files of the working tree, and nothing else: no .env, no virtual environment."""
    target = tmp_path_factory.mktemp("clone") / "rl-swarm"
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    target.chmod(0o755)
    return target


@pytest.fixture(scope="session")
def images(clone: Path) -> None:
    """All images of the stack, built as an operator builds them."""
    Stack(clone, "rlswarm-e2e-build").compose("build", "--quiet", seconds=1500)


def _stack(clone: Path, name: str, request: pytest.FixtureRequest, **settings: str) -> Iterator[Stack]:
    stack = Stack(clone, f"rlswarm-e2e-{name}-{os.getpid()}", **settings)
    failed_before = request.session.testsfailed
    try:
        yield stack
    finally:
        if request.session.testsfailed > failed_before:
            print(stack.compose("ps", "--all", check=False), stack.compose("logs", "--tail", "60", check=False))
        stack.down()


@pytest.fixture(scope="session")
def auto(clone: Path, images: None, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running swarm whose login service made its account by itself."""
    for stack in _stack(clone, "auto", request, SWARM_LOGIN="auto"):
        stack.up()
        yield stack


@pytest.fixture(scope="module")
def page(clone: Path, images: None, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running swarm that nobody has configured or claimed."""
    for stack in _stack(clone, "page", request):
        stack.up()
        yield stack


@pytest.fixture
def bare(clone: Path, images: None, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A project in which nothing runs yet."""
    yield from _stack(clone, "bare", request)


__all__ = ["Failed"]
