"""The daemon runs hivemind's DHT without torch and the like: it must fit beside everything else on a small machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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
