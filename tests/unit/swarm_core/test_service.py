"""`Service`: supervised tasks live until they end, whatever they are called and whoever still knows of them."""

from __future__ import annotations

import asyncio
import gc

from swarm_core.runner import Service


async def test_tasks_of_one_name_are_all_kept() -> None:
    service = Service("test")

    async def wait_for_nothing() -> None:
        await asyncio.Event().wait()  # known to this task alone: nothing else keeps either of them alive

    for _ in range(3):
        service.spawn("server", wait_for_nothing())
    await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    assert not service.stop.is_set()
    running = [task for task in asyncio.all_tasks() if task.get_name() == "server"]
    assert len(running) == 3
    for task in running:
        task.cancel()
