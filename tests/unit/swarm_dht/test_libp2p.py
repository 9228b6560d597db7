"""hivemind without its training half: no torch in the process, and the pinned version still fits the shortcut."""

from __future__ import annotations

import asyncio

from swarm_dht.libp2p import OpenCalls


async def test_a_finished_call_is_not_found_any_more() -> None:
    calls, call = OpenCalls(), object()
    calls[call] = asyncio.get_running_loop().create_future()  # type: ignore[index]
    assert call in calls
    calls[call].cancel()  # type: ignore[index]
    assert call not in calls
    assert calls.pop(call, None) is not None  # type: ignore[call-overload]
