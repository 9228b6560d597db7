"""What survives a violent end: p2pd killed or stopped under a daemon, the daemon itself killed, a bootnode gone."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.daemons import Daemon, Daemons, Swarm, alive, children, group, poll

from swarm_dht import libp2p, p2pd

_KILLS = 3


def _seconds_until_collected(daemon: Daemon, peer: str, since: float) -> float:
    def look() -> float:
        batches, _ = daemon.collect(want=100, deadline_ms=3000)  # an HTTP error would fail the test
        return time.monotonic() - since if peer in batches else 0.0

    return float(poll(look, 20, f"exchange with {peer}"))


def test_p2pd_killed_exchange_works_within_a_second(swarm: Swarm) -> None:
    one, two = swarm.one, swarm.two
    one.publish(1, group(1))
    two.publish(1, group(2))
    ids = one.status()["peer_id"], two.status()["peer_id"]
    for daemon, peer in ((one, ids[1]), (two, ids[0])):
        _seconds_until_collected(daemon, peer, time.monotonic())
    own, remote = [], []
    for kill in range(_KILLS):
        since = time.monotonic()
        os.kill(one.p2pd, signal.SIGKILL)
        with ThreadPoolExecutor(2) as pool:
            answers = [
                pool.submit(_seconds_until_collected, daemon, peer, since)
                for daemon, peer in ((one, ids[1]), (two, ids[0]))
            ]
            own.append(answers[0].result())
            remote.append(answers[1].result())
        status = one.wait(lambda status: status["state"] == "ready", 15)
        assert status["peer_id"] == ids[0]
        assert status["rebuilds"] == kill + 1
        assert status["published"] == [group(1).digest()]
    assert statistics.median(own) < 1.0, own
    assert statistics.median(remote) < 1.5, remote


def test_p2pd_stopped_is_found_by_the_probe_and_replaced(swarm: Swarm) -> None:
    generation, peer = swarm.two.status()["generation"], swarm.two.status()["peer_id"]
    swarm.two.publish(1, group(2))
    _seconds_until_collected(swarm.one, peer, time.monotonic())
    stopped, since = swarm.two.p2pd, time.monotonic()
    os.kill(stopped, signal.SIGSTOP)
    _seconds_until_collected(swarm.one, peer, since)
    swarm.two.wait(lambda status: status["generation"] == generation + 1 and status["state"] == "ready", 25)
    assert not alive(stopped)
    assert "p2pd does not answer" in swarm.two.log_text


def test_daemon_killed_leaves_no_p2pd_and_keeps_its_id(daemons: Daemons) -> None:
    bootnode = daemons.start("bootnode").up()
    peer = daemons.start("peer", bootnode.address).up()
    before = peer.wait(lambda status: status["state"] == "ready")
    orphan = peer.p2pd
    peer.kill()
    poll(lambda: not alive(orphan), 5, "end of p2pd after its daemon's")
    peer.start()
    after = peer.wait(lambda status: status["state"] == "ready", 30)
    assert after["peer_id"] == before["peer_id"]
    assert after["instance"] != before["instance"]
    (sockets,) = {Path(line.split("-listen=/unix")[1].split()[0]).parent for line in _command_lines(peer.p2pd)}
    assert len(list(sockets.glob("hivemind-p2pd-*.sock"))) == 1
    for daemon in (peer, bootnode):
        assert daemon.stop() == 0


def test_isolated_until_the_bootnode_is_there_and_again_after_its_return(daemons: Daemons) -> None:
    bootnode = daemons.start("bootnode").up()
    address = bootnode.address
    bootnode.kill()
    peer = daemons.start("peer", address).up()
    status = peer.wait(lambda status: status["state"] == "isolated")
    assert "bootnodes can be reached" in status["reason"]
    assert peer.http.get("/v1/live").status_code == 200
    batches, counts = peer.collect()
    assert (batches, counts["asked"]) == ({}, 0)
    for _ in range(2):
        bootnode.start()
        bootnode.up()
        returned = time.monotonic()
        peer.wait(lambda status: status["state"] == "ready", 30)
        assert time.monotonic() - returned < 10.0
        bootnode.wait(lambda status: status["state"] == "ready", 10)
        bootnode.kill()
        peer.wait(lambda status: status["state"] == "isolated", 30)
    assert "state now=isolated" in peer.log_text


def _command_lines(pid: int) -> list[str]:
    return [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")]


async def test_a_p2pd_that_hangs_at_its_start_is_given_up_and_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def create(**options: Any) -> Any:  # what hivemind waits for without a limit
        await asyncio.Event().wait()

    monkeypatch.setattr(libp2p.P2P, "_UNIX_SOCKET_PREFIX", f"/unix{tmp_path}/hivemind-")
    monkeypatch.setattr(p2pd, "_CONTROL_SECONDS", 0.0)
    monkeypatch.setattr(libp2p._p2p_daemon.p2pclient.Client, "create", create)
    before = set(children(os.getpid()))
    with pytest.raises(TimeoutError):
        await p2pd.start_p2pd(3.0, host_maddrs=["/ip4/127.0.0.1/tcp/0"])
    assert set(children(os.getpid())) <= before
    assert list(tmp_path.iterdir()) == []
