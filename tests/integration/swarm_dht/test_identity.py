"""One key, one peer: a daemon with a copy of a key is refused while the other one runs; and clocks that jump."""

from __future__ import annotations

import re
import shutil

from tests.support.daemons import Daemons, poll


def test_a_copy_of_a_key_is_refused_while_its_owner_runs(daemons: Daemons) -> None:
    bootnode = daemons.start("bootnode").up()
    owner = daemons.start("owner", bootnode.address)
    peer = owner.wait(lambda status: status["state"] == "ready")["peer_id"]
    copy = daemons.make("copy", bootnode.address)
    (copy.directory / "key").mkdir(parents=True)
    shutil.copy(owner.directory / "key" / "swarm.pem", copy.directory / "key" / "swarm.pem")
    copy.start()
    assert copy.process is not None
    assert copy.process.wait(30) == 1
    assert f"Another peer with this key ({peer}) is in the swarm" in copy.log_text
    assert owner.status()["state"] == "ready"
    # whoever asked has parted from the others: a peer that was killed stays in their lists for half a minute
    members = {peer, bootnode.status()["peer_id"]}
    for daemon in (bootnode, owner):
        poll(lambda daemon=daemon: {entry["peer"] for entry in daemon.peers()} <= members, 12, "an end of the scout")
    owner.kill()
    copy.start()
    assert copy.wait(lambda status: status["state"] == "ready")["peer_id"] == peer


def test_a_daemon_restarted_after_a_crash_does_not_wait_for_its_former_self(daemons: Daemons) -> None:
    bootnode = daemons.start("bootnode").up()
    peer = daemons.start("peer", bootnode.address)
    peer.wait(lambda status: status["state"] == "ready")
    peer.kill()
    peer.start().up()
    (seconds,) = re.findall(r"p2pd up.* seconds=([\d.]+)", peer.log_text)[1:]
    assert float(seconds) < 3.5  # the scout's dial to the old address would take five


def test_a_clock_that_jumps_is_told_and_forgotten(daemons: Daemons) -> None:
    bootnode = daemons.start("bootnode").up()
    peer = daemons.start("peer", bootnode.address)
    peer.wait(lambda status: status["state"] == "ready")
    peer.set_clock(3600.0)
    status = peer.wait(lambda status: status["state"] == "clock_skew", 20)
    assert status["clock_jumps"] == 1
    assert "set it by NTP" in status["reason"]
    peer.set_clock(0.0)
    assert peer.wait(lambda status: status["state"] == "ready", 20)["clock_jumps"] == 2
    assert "the clock of this host jumped" in peer.log_text
