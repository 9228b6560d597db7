"""hivemind without its training half: no torch in the process, and the pinned version still fits the shortcut."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from tests.support.daemons import ROOT

from swarm_dht.libp2p import OpenCalls

_PROGRAM = """
import sys
sys.path.insert(0, {services!r})
from swarm_dht import api, daemon, libp2p
libp2p.quiet_logs()
heavy = sorted({{"torch", "scipy", "numpy", "transformers", "hivemind.averaging"}} & set(sys.modules))
print(heavy, libp2p.P2P.__module__, libp2p.DHTNode.__module__)
"""


def test_nothing_heavy_is_imported() -> None:
    program = _PROGRAM.format(services=str(ROOT / "services"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[] hivemind.p2p.p2p_daemon hivemind.dht.node"


async def test_a_finished_call_is_not_found_any_more() -> None:
    calls, call = OpenCalls(), object()
    calls[call] = asyncio.get_running_loop().create_future()  # type: ignore[index]
    assert call in calls
    calls[call].cancel()  # type: ignore[index]
    assert call not in calls
    assert calls.pop(call, None) is not None  # type: ignore[call-overload]
