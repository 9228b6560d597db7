"""The chain container's entrypoint: state, receipts and genesis survive a stop, a SIGKILL and damaged files.

Runs the script natively with the anvil of the image; only the paths and the port differ from the container.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.chains import deploy_chain, rpc, wait_for_chain
from tests.support.ports import free_port

ENTRYPOINT = Path(__file__).parents[3] / "services" / "chain" / "entrypoint.sh"
FROM = "0x" + "12" * 20


class ChainProcess:
    """The entrypoint in a process group of its own, as in a container."""

    def __init__(self, directory: Path, binary: Path, **environment: str) -> None:
        self.volume = directory / "chain-state"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = directory / "chain.log"
        bin_directory = directory / "bin"
        bin_directory.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (bin_directory / "anvil").symlink_to(binary)
        self._environment = {
            "PATH": f"{bin_directory}:{os.environ['PATH']}",
            "CHAIN_STATE_DIR": str(self.volume),
            "CHAIN_WORK_DIR": str(directory / "work"),
            "CHAIN_HOST": "127.0.0.1",
            "CHAIN_PORT": str(self.port),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the script without waiting for the chain."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["sh", str(ENTRYPOINT)], env=self._environment, stderr=log, start_new_session=True
            )
        return self.process

    def start(self) -> None:
        """Start and wait until the script says that the chain serves."""
        said = self.text().count("serves on port") if self.log.exists() else 0
        self.launch()
        wait_until(lambda: self.text().count("serves on port") > said)

    def stop(self) -> int:
        """SIGTERM, as Compose does; returns the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL to everything at once, as when the container's first process is killed."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=10)

    def text(self) -> str:
        """What the script logged."""
        return self.log.read_text()


@pytest.fixture
def new_chain(tmp_path: Path, anvil_path: Path) -> Iterator[Callable[..., ChainProcess]]:
    """Makes entrypoints on one volume; kills what is left."""
    made: list[ChainProcess] = []

    def make(**environment: str) -> ChainProcess:
        made.append(ChainProcess(tmp_path, anvil_path, **environment))
        return made[-1]

    yield make
    for chain in made:
        chain.kill()


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Poll until `condition` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)  # between two polls with a deadline


def head(chain: ChainProcess) -> int:
    return int(str(rpc(chain.url, "eth_blockNumber")), 16)


def genesis(chain: ChainProcess) -> str:
    block = rpc(chain.url, "eth_getBlockByNumber", "0x0", False)
    assert isinstance(block, dict)
    return str(block["hash"])


def wait_saved(chain: ChainProcess) -> None:
    """Until the chain as it is now is on the volume."""
    newest = chain.volume / "state.json.gz"
    at = head(chain)

    def saved() -> bool:
        if not newest.exists():
            return False
        out = subprocess.run(["gzip", "-dc", str(newest)], capture_output=True, check=False).stdout
        return f'"best_block_number":{at},'.encode() in out

    wait_until(saved)


def test_a_stop_keeps_state_receipts_and_genesis(new_chain: Callable[..., ChainProcess], tmp_path: Path) -> None:
    chain = new_chain()
    chain.start()
    assert rpc(chain.url, "eth_accounts") == []
    assert rpc(chain.url, "eth_chainId") == hex(53855)
    local = deploy_chain(FakeAnvil(chain.url), tmp_path / "deployed")  # type: ignore[arg-type]
    block, first = head(chain), genesis(chain)
    latest = rpc(chain.url, "eth_getBlockByNumber", "latest", False)
    assert isinstance(latest, dict)
    receipt = rpc(chain.url, "eth_getTransactionReceipt", latest["transactions"][0])
    assert chain.stop() == 0
    chain.start()
    assert (head(chain), genesis(chain)) == (block, first)
    assert rpc(chain.url, "eth_getTransactionReceipt", latest["transactions"][0]) == receipt
    assert rpc(chain.url, "eth_getCode", local.settings.coordinator or FROM, "latest") is not None
    before = local.deployment_file.read_bytes()
    deploy_chain(FakeAnvil(chain.url), tmp_path / "deployed")  # type: ignore[arg-type]
    assert local.deployment_file.read_bytes() == before
    assert head(chain) == block
    assert chain.stop() == 0


class FakeAnvil:
    """What `deploy_chain` needs of a chain: its address."""

    def __init__(self, url: str) -> None:
        self.url = url


def test_sigkill_loses_only_what_was_not_yet_saved(new_chain: Callable[..., ChainProcess], tmp_path: Path) -> None:
    chain = new_chain()
    chain.start()
    deploy_chain(FakeAnvil(chain.url), tmp_path / "deployed")  # type: ignore[arg-type]
    wait_saved(chain)
    block, first = head(chain), genesis(chain)
    for _ in range(3):
        chain.kill()
        chain.start()
        assert (head(chain), genesis(chain)) == (block, first)


def test_a_damaged_newest_copy_gives_way_to_an_older_one(
    new_chain: Callable[..., ChainProcess], tmp_path: Path
) -> None:
    chain = new_chain()
    chain.start()
    deploy_chain(FakeAnvil(chain.url), tmp_path / "deployed")  # type: ignore[arg-type]
    wait_saved(chain)
    first = genesis(chain)
    newest, older = chain.volume / "state.json.gz", chain.volume / "state.json.gz.1"
    rpc(chain.url, "evm_mine")
    block = head(chain)
    wait_saved(chain)
    rpc(chain.url, "evm_mine")
    wait_saved(chain)
    chain.kill()
    newest.write_bytes(newest.read_bytes()[:-100])
    chain.start()
    assert (head(chain), genesis(chain)) == (block, first)
    assert "is damaged" in chain.text()
    assert "Went back to the older state" in chain.text()
    assert (chain.volume / "state.json.gz.damaged").exists()
    assert older.exists()


def test_a_copy_that_is_whole_but_no_state_gives_way_too(
    new_chain: Callable[..., ChainProcess], tmp_path: Path
) -> None:
    chain = new_chain()
    chain.start()
    rpc(chain.url, "evm_mine")
    wait_saved(chain)
    rpc(chain.url, "evm_mine")
    wait_saved(chain)
    assert chain.stop() == 0
    nonsense = subprocess.run(["gzip", "-c"], input=b'{"historical_states":null}', capture_output=True, check=True)
    (chain.volume / "state.json.gz").write_bytes(nonsense.stdout)
    chain.start()
    assert head(chain) >= 1
    assert chain.stop() == 0


def test_without_a_usable_copy_it_stops_and_overwrites_nothing(
    new_chain: Callable[..., ChainProcess], tmp_path: Path
) -> None:
    chain = new_chain()
    chain.volume.mkdir(parents=True)
    damaged = chain.volume / "state.json.gz"
    damaged.write_bytes(b"not a gzip file")
    assert chain.launch().wait(timeout=20) == 78
    assert damaged.read_bytes() == b"not a gzip file"
    assert "Remedy" in chain.text()


@pytest.mark.parametrize("value", ["abc", "0", "-1"])
def test_a_bad_chain_id_is_named(new_chain: Callable[..., ChainProcess], value: str) -> None:
    chain = new_chain(SWARM_CHAIN_ID=value)
    assert chain.launch().wait(timeout=10) == 78
    assert "SWARM_CHAIN_ID" in chain.text()


def test_anvil_killed_alone_ends_the_container_as_a_failure(new_chain: Callable[..., ChainProcess]) -> None:
    chain = new_chain()
    chain.start()
    assert chain.process is not None
    children = Path(f"/proc/{chain.process.pid}/task/{chain.process.pid}/children").read_text().split()
    anvil = next(int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text().startswith("anvil"))
    os.kill(anvil, signal.SIGKILL)
    assert chain.process.wait(timeout=10) == 1
    assert "anvil ended with code 137" in chain.text()


def test_old_blocks_are_dropped_when_the_state_has_grown(new_chain: Callable[..., ChainProcess]) -> None:
    chain = new_chain(CHAIN_GROWTH_BYTES="1500000")
    chain.start()
    first = genesis(chain)

    def grown() -> bool:
        with contextlib.suppress(httpx.HTTPError):  # the restart may cut a request off
            rpc(chain.url, "anvil_mine", hex(100))
        return "Dropping old blocks" in chain.text()

    wait_until(grown)
    wait_for_chain(chain.url)
    tip = head(chain)
    assert tip > 600
    assert genesis(chain) == first
    assert rpc(chain.url, "eth_getBlockByNumber", "0x1", False) is None
    assert rpc(chain.url, "eth_getBlockByNumber", hex(tip - 500), False) is not None
    assert chain.stop() == 0
