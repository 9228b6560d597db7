"""What `benchmarks.outbox_attack` throws at the outbox: a faulty RPC's moods, and a rival process with the same key.

Run as a program (`python -m benchmarks.outbox_faults KEY_FILE RPC_URL COUNT_FILE`) it is that rival.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import threading
from pathlib import Path

from tests.support.login_service import FaultyRpc, Login

from login_proxy.keystore import Keystore
from swarm_chain.client import ChainClient
from swarm_chain.errors import RpcRefused
from swarm_chain.settings import ChainSettings
from swarm_chain.wallet import Wallet, sign
from swarm_core.errors import Unavailable

ROOT = Path(__file__).resolve().parents[1]


class Faults(threading.Thread):
    """Bursts of 503 and 429 and two outages, until stopped."""

    def __init__(self, proxy: FaultyRpc, seed: int) -> None:
        super().__init__(daemon=True)
        self._proxy = proxy
        self._random = random.Random(seed)
        self._over = threading.Event()
        self.bursts = {503: 0, 429: 0}
        self.outages = 0

    def run(self) -> None:
        """Waits between faults are part of what is simulated."""
        while not self._over.wait(self._random.uniform(2.0, 5.0)):
            status = 503 if self.bursts[503] <= self.bursts[429] else 429
            self._proxy.busy = status
            self._over.wait(self._random.uniform(0.5, 1.5))
            self._proxy.busy = 0
            self.bursts[status] += 1
            if self.outages < 2 and self.bursts[429] >= 2 * (self.outages + 1):
                self._proxy.down = True
                self._over.wait(self._random.uniform(4.0, 8.0))
                self._proxy.down = False
                self.outages += 1

    def stop(self) -> None:
        """No more faults."""
        self._over.set()
        self.join()
        self._proxy.busy, self._proxy.down = 0, False


class Rival:
    """A second process that sends with the account's key and knows nothing of the outbox."""

    def __init__(self, login: Login, url: str, directory: Path) -> None:
        keystore = Keystore(login.directory / "keys/account", login.directory / "state/unlock.secret")
        self._count = directory / "rival-count"
        key_file = directory / "rival-key"
        key_file.touch(mode=0o600)
        key_file.write_bytes(bytes(keystore.load().key))
        command = [sys.executable, "-m", "benchmarks.outbox_faults", str(key_file), url, str(self._count)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)

    def stop(self) -> int:
        """How many transactions it got onto the chain."""
        self._process.terminate()
        self._process.wait(timeout=20)
        return int(self._count.read_text()) if self._count.exists() else 0


async def rival(key_file: Path, url: str, count_file: Path) -> None:
    """Body of the second process: a transfer of nothing every few seconds, on the nonce the chain names."""
    chance, mined = random.Random(3), 0
    async with ChainClient(ChainSettings(rpc_url=url, coordinator="0x" + "11" * 20)) as client:
        wallet = Wallet(client, key_file.read_bytes())
        while True:
            try:
                nonce, fees = await client.nonce(wallet.address), await client.fees()
                signed = sign(wallet.account, chain_id=client.chain_id, nonce=nonce, gas=21_000, fees=fees, data=b"",
                              to=wallet.address)  # fmt: skip
                await client.send_raw(signed.raw)
                if await client.receipt(signed.hash) is not None:
                    mined += 1
                    count_file.write_text(str(mined))
            except (RpcRefused, Unavailable):
                pass  # the service was faster
            await asyncio.sleep(chance.uniform(1.0, 4.0))


if __name__ == "__main__":
    asyncio.run(rival(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
