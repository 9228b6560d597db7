"""hivemind's DHT and libp2p parts, imported without its training half.

`import hivemind` pulls in torch and scipy: 290 MB and seconds of start-up that a daemon restarted after a crash
does not have. The DHT itself needs neither, so the three packages whose `__init__` imports everything are entered
as plain packages and given just the names that the DHT modules take from them. hivemind is pinned exactly;
tests/unit/swarm_dht/test_libp2p.py fails when a new version no longer fits. The only module that imports hivemind.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import sys
import types
from pathlib import Path
from typing import Any

_UTILITIES = ("logging", "asyncio", "serializer", "timed_storage", "crypto", "multiaddr")


def _enter_without_init() -> None:
    """Make `hivemind`, `hivemind.utils` and `hivemind.dht` importable without running their `__init__`."""
    if "hivemind" in sys.modules:  # somebody imported the whole of it: nothing left to save
        return
    spec = importlib.util.find_spec("hivemind")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("hivemind is not installed")
    root = Path(next(iter(spec.submodule_search_locations)))
    for name in ("hivemind", "hivemind.utils", "hivemind.dht"):
        package = types.ModuleType(name)
        package.__path__ = [str(root.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = package
    utils = sys.modules["hivemind.utils"]
    for name in _UTILITIES:
        module = importlib.import_module(f"hivemind.utils.{name}")
        for key, value in vars(module).items():
            if not key.startswith("_"):
                utils.__dict__.setdefault(key, value)


_enter_without_init()

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # noqa: E402
from google.protobuf.wrappers_pb2 import BytesValue  # type: ignore[import-untyped]  # noqa: E402
from hivemind.dht.node import DHTNode  # noqa: E402
from hivemind.dht.protocol import DHTProtocol  # noqa: E402
from hivemind.dht.routing import DHTID  # noqa: E402
from hivemind.p2p import P2P, P2PContext, P2PDaemonError, P2PHandlerError, PeerID, ServicerBase  # noqa: E402
from hivemind.p2p import p2p_daemon as _p2p_daemon  # noqa: E402
from hivemind.proto import dht_pb2  # noqa: E402
from hivemind.utils.logging import use_hivemind_log_handler  # noqa: E402
from hivemind.utils.multiaddr import Multiaddr  # noqa: E402

__all__ = [
    "DHTID", "P2P", "BytesValue", "DHTNode", "DHTProtocol", "DecodeError", "Multiaddr", "OpenCalls", "P2PContext",
    "P2PDaemonError", "P2PHandlerError", "PeerID", "ServicerBase", "dht_pb2", "quiet_logs",
    "remove_sockets", "use_socket_directory",
]  # fmt: skip


def quiet_logs() -> None:
    """Keep hivemind's own lines out of the log: what matters comes back as errors that we count and log once."""
    use_hivemind_log_handler("nowhere")
    logging.getLogger("hivemind").setLevel(logging.CRITICAL)
    logging.addLevelName(logging.WARNING, "WARNING")  # hivemind renames it for the whole process
    _p2p_daemon.loglevel = "ERROR"  # what p2pd is told to print; every line costs a JSON parse


class OpenCalls(dict[Any, "asyncio.Future[Any]"]):
    """hivemind's table of calls that wait for p2pd, in which a finished call is no longer found.

    Its reader sets the result of any call it finds. A call that we cancelled in the same turn of the loop is still
    in the table then; the reader would raise InvalidStateError, end, and leave the node deaf.
    """

    def __contains__(self, call: object) -> bool:
        return super().__contains__(call) and not self[call].done()


def use_socket_directory(directory: Path) -> None:
    """Where p2pd's control sockets go: a directory that only the daemon may enter."""
    P2P._UNIX_SOCKET_PREFIX = f"/unix{directory}/hivemind-"


def remove_sockets(p2p: Any) -> None:
    """Remove the control sockets of a p2pd that has ended: a killed one leaves them behind."""
    for maddr in (p2p._daemon_listen_maddr, p2p._client_listen_maddr):
        Path(str(maddr).removeprefix("/unix")).unlink(missing_ok=True)
