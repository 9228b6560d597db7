"""p2pd as a process: started with a limit on the time, ended whatever state it is in.

hivemind limits only the wait for p2pd's first words. Its control connection, opened after them, can hang for ever (a
p2pd that was stopped in that moment), and a `P2P.create` that is cancelled leaves the process behind.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from swarm_dht.libp2p import P2P, remove_sockets

_CONTROL_SECONDS = 5.0


async def start_p2pd(seconds: float, **options: Any) -> Any:
    """`P2P.create(**options)`, which may take `seconds` until p2pd speaks and a few more until it answers.

    Raises TimeoutError, OSError or P2PDaemonError, with no process left.
    """
    made: list[Any] = []

    class Started(P2P):  # type: ignore[misc]
        """Known to us before its `create` returns."""

        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    try:
        async with asyncio.timeout(seconds + _CONTROL_SECONDS):
            return await Started.create(startup_timeout=seconds, **options)
    except BaseException:
        for p2p in made:
            await end_p2pd(p2p)
        raise


async def end_p2pd(p2p: Any) -> None:
    """SIGKILL the process, wait for its end and remove its sockets."""
    child = p2p._child
    if child is not None and child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    await p2p.shutdown()  # closes the control tasks and waits for the child
    control = p2p._client.control if p2p._client is not None else None
    tasks = [task for task in (control and control._read_task, control and control._write_task) if task is not None]
    await asyncio.gather(*tasks, return_exceptions=True)  # their errors are known: the pipe is gone
    remove_sockets(p2p)
