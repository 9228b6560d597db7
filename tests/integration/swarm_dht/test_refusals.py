"""A daemon that cannot work says why in one line with the remedy, exits non-zero, and leaves files as they were."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.support.daemons import Daemon, Daemons


def _refused(daemon: Daemon) -> tuple[int, str]:
    daemon.start()
    assert daemon.process is not None
    code = daemon.process.wait(40)
    *before, line = daemon.log_text.strip().splitlines()
    assert [entry for entry in before if "new peer key made" not in entry] == []
    return code, line


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "PEM text"),
        (b"\x08\x00\x12\xa7\x09" + b"\x30" * 500, "cut short"),
        (bytes(range(200)), "not a libp2p key"),
    ],
)
def test_unusable_key(daemons: Daemons, content: bytes, says: str) -> None:
    daemon = daemons.make("peer")
    path = Path(daemon.directory / "key" / "swarm.pem")
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    code, line = _refused(daemon)
    assert code == 1
    assert says in line
    assert "Remedy: restore it from a backup" in line
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_port_in_use(daemons: Daemons, kind: socket.SocketKind) -> None:
    daemon = daemons.make("peer")
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", daemon.port))
        if kind == socket.SOCK_STREAM:
            other.listen()
        code, line = _refused(daemon)
    assert code == 1
    assert f"port {daemon.port}" in line
    assert "SWARM_P2P_PORT" in line


def test_another_p2pd_on_the_port_and_another_daemon_on_the_key(daemons: Daemons) -> None:
    first = daemons.start("first").up()
    code, line = _refused(daemons.make("second", port=first.port))
    assert code == 1
    assert "SWARM_P2P_PORT" in line
    code, line = _refused(daemons.make("third", SWARM_KEY_DIR=str(first.directory / "key")))
    assert code == 1
    assert "already uses the key" in line
    code, line = _refused(daemons.make("fourth", SWARM_RUN_DIR=str(first.directory / "run")))
    assert code == 1
    assert "Another process already serves" in line
    assert first.stop() == 0


def test_bad_settings_are_all_named(daemons: Daemons) -> None:
    daemon = daemons.make("peer", "/ip4/1.2.3.4/tcp/1", SWARM_P2P_PORT="0", SWARM_ANNOUNCE="here", SWARM_FOO="1")
    code, line = _refused(daemon)
    assert code == 78
    for name in ("SWARM_BOOTNODES", "SWARM_P2P_PORT", "SWARM_ANNOUNCE", "SWARM_FOO"):
        assert name in line
    assert not (daemon.directory / "key" / "swarm.pem").exists()
