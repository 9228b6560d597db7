"""`swarm-peer`: an extra local peer. Takes the first free numbered slot and runs daemon and worker in it.

Each container of the scaled service `peer` runs this. The slot is held by a file lock, so a restarted container
takes up a slot again with its key, state and socket; two containers never share one. When either child ends, so
does this process, with the child's exit code (or 1): a dead half is a dead peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
from pathlib import Path

from pydantic import Field

from swarm_core.errors import EXIT_FAILURE, FatalError
from swarm_core.files import LockHeld, exclusive_lock
from swarm_core.key_files import MAX_SLOTS
from swarm_core.log import get_logger
from swarm_core.runner import Service, run
from swarm_core.settings import SwarmSettings, inherited_environment

_KEYS_GROUP = 2001  # of the login service, which backs the keys up (scripts/image-layout)
_CHILD_STOP_SECONDS = 7.0
log = get_logger("peer")


class PeerSettings(SwarmSettings):
    """Where the slots live."""

    run_dir: Path = Field(Path("/run/swarm"), description="Directory of the sockets; slots are below peers/.")
    peer_keys_dir: Path = Field(Path("/peer-keys"), description="One directory with swarm.pem a slot.")
    peer_state_dir: Path = Field(Path("/peer-state"), description="One directory with checkpoints a slot.")

    def writable_directories(self) -> tuple[Path, ...]:
        return (self.run_dir, self.peer_keys_dir, self.peer_state_dir)


async def start(service: Service, settings: PeerSettings) -> None:
    """Take a slot and supervise `swarm-dht` and `swarm-node` in it."""
    slot = _take_slot(service, settings.peer_keys_dir)
    environment = inherited_environment()
    for name in ("SWARM_PEER_KEYS_DIR", "SWARM_PEER_STATE_DIR", "SWARM_ANNOUNCE"):
        environment.pop(name, None)
    directories = {
        "SWARM_RUN_DIR": settings.run_dir / "peers" / str(slot),
        "SWARM_KEY_DIR": settings.peer_keys_dir / str(slot),
        "SWARM_STATE_DIR": settings.peer_state_dir / str(slot),
    }
    for name, directory in directories.items():
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        environment[name] = str(directory)
    for directory in (settings.peer_keys_dir, directories["SWARM_KEY_DIR"]):
        _open_to_backups(directory)
    environment["SWARM_NODE_NAME"] = f"peer-{slot}"
    _link_for_healthcheck(directories["SWARM_RUN_DIR"])
    log.info("slot taken", slot=slot)
    for program in ("swarm-dht", "swarm-node"):
        service.spawn(program, _child(service, program, environment))


def _open_to_backups(directory: Path) -> None:
    """Let the group of keys read and restore what is in `directory`; earlier versions kept it to the owner."""
    if directory.stat().st_uid != os.getuid():
        return  # made by a restore, which did the same
    if _KEYS_GROUP in os.getgroups():
        os.chown(directory, -1, _KEYS_GROUP)
    directory.chmod(0o2770)


def _link_for_healthcheck(run_dir: Path) -> None:
    """`peer` in the container's temporary directory leads to the slot's sockets, whichever slot it is."""
    link = Path(tempfile.gettempdir()) / "peer"
    link.unlink(missing_ok=True)
    link.symlink_to(run_dir)


def _take_slot(service: Service, directory: Path) -> int:
    locks = contextlib.ExitStack()
    for slot in range(1, MAX_SLOTS + 1):
        try:
            locks.enter_context(exclusive_lock(directory / f"{slot}.lock"))
        except LockHeld:
            continue

        async def release() -> None:
            locks.close()

        service.on_close("slot", release)
        return slot
    raise FatalError(f"All {MAX_SLOTS} slots are taken.", "lower SWARM_LOCAL_PEERS")


async def _child(service: Service, program: str, environment: dict[str, str]) -> None:
    path = Path(sys.executable).with_name(program)
    process = await asyncio.create_subprocess_exec(str(path), env=environment, stdin=asyncio.subprocess.DEVNULL)
    ended = asyncio.create_task(process.wait())
    stopping = asyncio.create_task(service.stop.wait())

    async def end() -> None:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(_CHILD_STOP_SECONDS):
                    await process.wait()
            except TimeoutError:
                process.kill()

    service.on_close(program, end)
    await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not service.stop.is_set():
        code = await ended
        raise FatalError(
            f"{program} ended with {code}.", "its own lines above say why", code if code > 0 else EXIT_FAILURE
        )


def main() -> None:
    """Console script."""
    run("swarm-peer", PeerSettings, start)


if __name__ == "__main__":
    main()
