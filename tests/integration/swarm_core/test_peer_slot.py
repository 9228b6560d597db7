"""An extra peer: its own slot, directories and name; a dead half ends it with that half's code; a stop ends both."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from swarm_core import peer_slot
from swarm_core.errors import FatalError
from swarm_core.files import LockHeld, exclusive_lock
from swarm_core.peer_slot import PeerSettings
from swarm_core.runner import Service

WAIT = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


@pytest.fixture
def settings(tmp_path: Path) -> PeerSettings:
    for name in ("run", "keys", "state"):
        (tmp_path / name).mkdir()
    return PeerSettings(run_dir=tmp_path / "run", peer_keys_dir=tmp_path / "keys", peer_state_dir=tmp_path / "state")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that stands for the interpreter's: `swarm-dht` and `swarm-node` are taken from beside it."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setattr(sys, "executable", str(directory / "python"))
    return directory


def program(directory: Path, name: str, body: str) -> None:
    path = directory / name
    # the number is there whole or not at all: the program may be killed at any moment
    path.write_text(
        f'#!/bin/sh\nenv > "$SWARM_STATE_DIR/{name}.env"\n'
        f'cd "$SWARM_STATE_DIR" && echo $$ > .{name}.pid && mv .{name}.pid {name}.pid\n{body}\n'
    )
    path.chmod(0o755)


async def appears(path: Path) -> str:
    """The content of a file that a child writes."""
    deadline = time.monotonic() + 15
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, path
        await asyncio.sleep(0.02)
    return path.read_text()


def alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    ("bodies", "code"),
    [
        ({"swarm-dht": WAIT, "swarm-node": "exit 78"}, 78),
        ({"swarm-dht": "exit 3", "swarm-node": WAIT}, 3),
        ({"swarm-dht": WAIT, "swarm-node": "exit 0"}, 1),  # a half that ends by itself is a failure too
        ({"swarm-dht": WAIT, "swarm-node": "kill -9 $$"}, 1),
    ],
)
async def test_a_dead_half_ends_the_peer_with_its_code(
    settings: PeerSettings, programs: Path, bodies: dict[str, str], code: int
) -> None:
    for name, body in bodies.items():
        program(programs, name, body)
    service = Service("swarm-peer")
    async with asyncio.timeout(30):
        assert await service.run(peer_slot.start(service, settings)) == code
    for name in bodies:
        pid = settings.peer_state_dir / "1" / f"{name}.pid"
        assert not pid.exists() or not alive(pid.read_text())


async def test_a_stop_ends_both_halves_and_frees_the_slot(
    settings: PeerSettings, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARM_ANNOUNCE", "203.0.113.1")
    monkeypatch.setenv("SWARM_MODEL", "embedded")
    for name in ("swarm-dht", "swarm-node"):
        program(programs, name, WAIT)
    service = Service("swarm-peer")
    life = asyncio.create_task(service.run(peer_slot.start(service, settings)))
    state = settings.peer_state_dir / "1"
    pids = [await appears(state / f"{name}.pid") for name in ("swarm-dht", "swarm-node")]
    environment = dict(
        line.split("=", 1) for line in (state / "swarm-node.env").read_text().splitlines() if "=" in line
    )
    with pytest.raises(LockHeld), exclusive_lock(settings.peer_keys_dir / "1.lock"):
        pass
    service.stop.set()
    async with asyncio.timeout(20):
        assert await life == 0
    assert not any(alive(pid) for pid in pids)
    with exclusive_lock(settings.peer_keys_dir / "1.lock"):
        pass
    for directory in (settings.peer_keys_dir, settings.peer_keys_dir / "1"):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o2770, "the login service backs it up"
    assert environment["SWARM_RUN_DIR"] == str(settings.run_dir / "peers" / "1")
    assert environment["SWARM_KEY_DIR"] == str(settings.peer_keys_dir / "1")
    assert environment["SWARM_STATE_DIR"] == str(state)
    assert (environment["SWARM_NODE_NAME"], environment["SWARM_MODEL"]) == ("peer-1", "embedded")
    assert "SWARM_ANNOUNCE" not in environment  # the main node's address is not the extra peer's


async def test_a_child_that_ignores_the_signal_is_killed(
    settings: PeerSettings, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_slot, "_CHILD_STOP_SECONDS", 0.2)
    program(programs, "swarm-dht", WAIT)
    program(programs, "swarm-node", "trap '' TERM; while :; do sleep 0.05; done")
    service = Service("swarm-peer")
    life = asyncio.create_task(service.run(peer_slot.start(service, settings)))
    pid = await appears(settings.peer_state_dir / "1" / "swarm-node.pid")
    service.stop.set()
    async with asyncio.timeout(20):
        assert await life == 0
    assert not alive(pid)


async def test_taken_slots_are_passed_over(settings: PeerSettings, programs: Path) -> None:
    program(programs, "swarm-dht", WAIT)
    program(programs, "swarm-node", "exit 5")
    service = Service("swarm-peer")
    with exclusive_lock(settings.peer_keys_dir / "1.lock"), exclusive_lock(settings.peer_keys_dir / "2.lock"):
        async with asyncio.timeout(30):
            assert await service.run(peer_slot.start(service, settings)) == 5
    assert "SWARM_NODE_NAME=peer-3" in (settings.peer_state_dir / "3" / "swarm-node.env").read_text()
    assert not (settings.peer_state_dir / "1").exists()


def test_no_free_slot(settings: PeerSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_slot, "MAX_SLOTS", 1)
    with (
        exclusive_lock(settings.peer_keys_dir / "1.lock"),
        pytest.raises(FatalError, match="All 1 slots are taken") as caught,
    ):
        peer_slot._take_slot(Service("swarm-peer"), settings.peer_keys_dir)
    assert "SWARM_LOCAL_PEERS" in caught.value.remedy
