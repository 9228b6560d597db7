"""A swarm over IPv6: daemons listen there, announce /ip6 addresses, and exchange groups; `::` serves IPv4 as well."""

from __future__ import annotations

from tests.support.daemons import Daemon, Daemons, group, poll


def _exchange(reader: Daemon, author: Daemon) -> None:
    peer = author.status()["peer_id"]
    poll(lambda: peer in reader.collect(want=100)[0], 20, "groups of the other")


def test_exchange_over_ipv6_alone(daemons: Daemons) -> None:
    bootnode = daemons.start("bootnode", host="::1").up()
    assert bootnode.address.startswith("/ip6/::1/tcp/")
    one = daemons.make("one", bootnode.address, host="::1")
    one._environment["SWARM_ANNOUNCE"] = f"/ip6/::1/tcp/{one.port}"
    one.start()
    two = daemons.start("two", bootnode.address, host="::1")
    for number, daemon in enumerate((one, two)):
        daemon.wait(lambda status: status["peers"] == 2)
        daemon.publish(1, group(number))
    assert all(address.startswith("/ip6/::1/") for address in one.status()["listen"])
    _exchange(one, two)
    _exchange(two, one)


def test_all_addresses_of_both_kinds(daemons: Daemons) -> None:
    both = daemons.make("both", host="::")
    both.start().up()
    both.host = "::1"
    six = daemons.start("six", both.address, host="::1")
    both.host = "127.0.0.1"
    four = daemons.start("four", both.address)
    both.publish(1, group(1))
    for daemon in (six, four):
        daemon.wait(lambda status: status["state"] == "ready")
        _exchange(daemon, both)
