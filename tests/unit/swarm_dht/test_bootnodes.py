"""The list of bootnodes: settings stay, the chain's are replaced, bad ones are counted, ourselves left out."""

from __future__ import annotations

import asyncio

from swarm_dht.addresses import parse_announced
from swarm_dht.bootnodes import Bootnodes, answers

A, B, C = (f"/ip4/10.0.0.{number}/tcp/38751/p2p/Qm{number}" for number in (1, 2, 3))


def _addresses(bootnodes: Bootnodes) -> list[tuple[str, str]]:
    return [(entry.address, entry.source) for entry in bootnodes.status(())]


def test_chain_entries_are_replaced_and_configured_ones_stay() -> None:
    bootnodes = Bootnodes([A], "Qm9")
    bootnodes.learn([A, B])
    assert _addresses(bootnodes) == [(A, "settings"), (B, "chain")]
    assert bootnodes.news.is_set()
    bootnodes.learn([C])
    assert _addresses(bootnodes) == [(A, "settings"), (C, "chain")]


def test_the_same_list_is_no_news() -> None:
    bootnodes = Bootnodes([A], "Qm9")
    bootnodes.learn([B])
    bootnodes.news.clear()
    bootnodes.learn([B, A])
    assert not bootnodes.news.is_set()


def test_bad_ones_are_counted_and_we_are_left_out() -> None:
    bootnodes = Bootnodes([], "Qm2")
    bootnodes.learn(["nonsense", B, "", C])
    assert _addresses(bootnodes) == [(C, "chain")]
    assert bootnodes.bad == 2
    assert len(bootnodes) == 1


def test_a_flood_is_cut() -> None:
    bootnodes = Bootnodes([], "Qm9")
    bootnodes.learn(f"/ip4/10.0.{number}.1/tcp/1/p2p/Qm1" for number in range(200))
    assert len(bootnodes) == 32


def test_missing_are_those_not_both_connected_and_in_the_table() -> None:
    bootnodes = Bootnodes([A, B, C], "Qm9")
    (first, second) = bootnodes.missing({"Qm1", "Qm2"}, {"Qm1", "Qm3"})
    assert [entry.bootnode.text for entry in (first, second)] == [B, C]
    first.error = "refused"
    shown = {entry.address: (entry.connected, entry.error) for entry in bootnodes.status({"Qm1", "Qm3"})}
    assert shown == {A: (True, ""), B: (False, "refused"), C: (True, "")}


async def test_answers_tells_whether_somebody_listens() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await answers(parse_announced(f"/ip4/127.0.0.1/tcp/{port}"))
    server.close()
    await server.wait_closed()
    assert not await answers(parse_announced(f"/ip4/127.0.0.1/tcp/{port}"))
    assert await answers(parse_announced("/ip4/127.0.0.1/udp/9/quic-v1"))
