"""Guests: only the author's own, signed for this swarm, fresh and small; no host can alter or invent a batch."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest
from tests.support.daemons import group

from swarm_core.errors import RecordError
from swarm_core.identity import PeerKey, generate_key, parse_key
from swarm_core.records import GroupBatch
from swarm_dht import guests as module
from swarm_dht.collect import FetchFailed
from swarm_dht.guests import MAX_GUEST_BYTES, Guests
from swarm_dht.reach import NO, UNKNOWN, YES, Reach, dial_back
from swarm_dht.routes import GuestRoutes
from swarm_dht.signed import seal, unseal
from swarm_dht.wire import BATCH, BUSY, NONE, SAME, SIGNED, FetchReply, FetchRequest, mark_of, pack

NOW = 1_795_000_000.0
SWARM = "53855"


@pytest.fixture(scope="module")
def keys() -> list[PeerKey]:
    return [parse_key(generate_key()) for _ in range(2)]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)


def batch_bytes(number: int = 1, at: float = NOW) -> bytes:
    return GroupBatch(number, at, (group(number),)).encode()


def sealed(key: PeerKey, number: int = 1, at: float = NOW, swarm: str = SWARM) -> bytes:
    return pack(seal(key, swarm, batch_bytes(number, at)))


def hosted() -> Guests:
    return Guests(SWARM, 600.0, random.Random(1))


def test_sealing(keys: list[PeerKey]) -> None:
    raw = seal(keys[0], SWARM, b"data")
    assert unseal(raw, keys[0].peer_id, SWARM) == b"data"
    altered = raw[:-1] + b"b"
    for wrong in (
        (raw, keys[1].peer_id, SWARM),
        (raw, keys[0].peer_id, "1"),
        (altered, keys[0].peer_id, SWARM),
        (raw[:100], keys[0].peer_id, SWARM),
        (b"", keys[0].peer_id, SWARM),
        (b"\xff\xff" + raw, keys[0].peer_id, SWARM),
    ):
        with pytest.raises(RecordError, match="bad_signature"):
            unseal(*wrong)


def test_a_deposit_is_served_on(keys: list[PeerKey]) -> None:
    guests, author = hosted(), keys[0].peer_id
    guests.put(author, sealed(keys[0]), NOW)
    assert guests.told("somebody", NOW) == (author,)
    assert guests.told(author, NOW) == ()
    reply = guests.answer(FetchRequest(author=author), NOW + 5)
    assert (reply.kind, reply.age) == (SIGNED, 5.0)
    assert unseal(reply.payload(), author, SWARM) == batch_bytes()
    assert guests.answer(FetchRequest(author=author, have=mark_of(batch_bytes())), NOW).kind == SAME
    assert guests.answer(FetchRequest(author=keys[1].peer_id), NOW).kind == NONE
    assert guests.answer(FetchRequest(author=author), NOW + 601).kind == NONE
    assert guests.told("somebody", NOW + 601) == ()


def test_refused_deposits(keys: list[PeerKey]) -> None:
    guests, author = hosted(), keys[0].peer_id
    attempts = {
        "bad_signature": sealed(keys[1]),  # another's batch under our name
        "stale": sealed(keys[0], at=NOW - 700),  # a replay
        "from_future": sealed(keys[0], at=NOW + 700),
        "too_large": b"x" * (MAX_GUEST_BYTES + 1),
        "bad_compression": b"junk",
        "not_msgpack": pack(seal(keys[0], SWARM, b"\xc1")),
        "bomb": pack(bytes(64 * 1024 * 1024)),
    }
    for reason, raw in attempts.items():
        with pytest.raises(RecordError) as caught:
            guests.put(author, raw, NOW)
        assert caught.value.reason == reason
    with pytest.raises(RecordError, match="bad_signature"):
        guests.put(author, sealed(keys[0], swarm="1"), NOW)
    assert set(guests.refused) == set(attempts)
    assert len(guests) == 0


def test_one_deposit_a_second(keys: list[PeerKey], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 1.0)
    guests = hosted()
    guests.put(keys[0].peer_id, sealed(keys[0]), NOW)
    with pytest.raises(RecordError, match="rate"):
        guests.put(keys[0].peer_id, sealed(keys[0], 2), NOW)


def test_a_crowd_of_guests_is_bounded(monkeypatch: pytest.MonkeyPatch, keys: list[PeerKey]) -> None:
    monkeypatch.setattr(module, "unseal", lambda raw, author, swarm: batch_bytes())
    guests = hosted()
    for number in range(200):
        guests.put(f"Qm{number}x", sealed(keys[0]), NOW)
    assert len(guests) == 32
    assert len(guests.told("me", NOW)) == 8


class Direct:
    """In the place of `SwarmTransport`: answers by (peer, author)."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], bytes] = {}
        self.asked: list[tuple[str, str]] = []

    def peers(self) -> list[str]:
        return ["QmHost"]

    async def fetch(self, peer: str, seconds: float, wait: float = 0.0) -> bytes:
        return await self.fetch_for(peer, FetchRequest(), seconds)

    async def fetch_for(self, peer: str, request: FetchRequest, seconds: float) -> bytes:
        self.asked.append((peer, request.author))
        if (peer, request.author) not in self.answers:
            raise FetchFailed("unreachable")
        return self.answers[peer, request.author]


def routes(direct: Direct, guests: Guests | None = None) -> GuestRoutes:
    transport: Any = direct
    return GuestRoutes(transport, guests or hosted(), "QmMine", SWARM)


async def test_guests_that_an_answer_names_are_asked_through_their_host(keys: list[PeerKey]) -> None:
    author, direct = keys[0].peer_id, Direct()
    found = routes(direct)
    direct.answers["QmHost", ""] = FetchReply(NONE, guests=(author, "QmMine")).encode(2)
    direct.answers["QmHost", author] = FetchReply(SIGNED, 2.0, seal(keys[0], SWARM, batch_bytes())).encode(2)
    assert FetchReply.decode(await found.fetch("QmHost", 1.0)).kind == NONE
    assert found.peers() == ["QmHost", author]
    reply = FetchReply.decode(await found.fetch(author, 1.0))
    assert (reply.kind, reply.age, reply.data) == (BATCH, 2.0, batch_bytes())
    direct.answers["QmHost", author] = FetchReply(BUSY).encode(2)  # no fault of the guest's, and the way stays known
    assert FetchReply.decode(await found.fetch(author, 1.0)).kind == BUSY
    direct.answers["QmHost", author] = FetchReply(SAME, 9.0).encode(2)
    reply = FetchReply.decode(await found.fetch(author, 1.0))
    assert (reply.age, reply.data) == (9.0, batch_bytes())
    del direct.answers["QmHost", author]
    with pytest.raises(FetchFailed):
        await found.fetch(author, 1.0)
    assert found.peers() == ["QmHost"]


async def test_a_host_cannot_speak_for_a_guest(keys: list[PeerKey]) -> None:
    author, direct = keys[0].peer_id, Direct()
    found = routes(direct)
    direct.answers["QmHost", ""] = FetchReply(NONE, guests=(author,)).encode(2)
    await found.fetch("QmHost", 1.0)
    for lie in (
        FetchReply(SIGNED, 0.0, seal(keys[1], SWARM, batch_bytes())),
        FetchReply(SIGNED, 0.0, seal(keys[0], "1", batch_bytes())),
        FetchReply(BATCH, 0.0, batch_bytes()),
        FetchReply(SAME),
    ):
        direct.answers["QmHost", author] = lie.encode(2)
        with pytest.raises(RecordError):
            await found.fetch(author, 1.0)


async def test_what_we_host_ourselves_costs_no_call(keys: list[PeerKey]) -> None:
    guests, direct, author = hosted(), Direct(), keys[0].peer_id
    at = time.time()
    guests.put(author, sealed(keys[0], at=at), at)
    found = routes(direct, guests)
    assert author in found.peers()
    assert FetchReply.decode(await found.fetch(author, 1.0)).data == batch_bytes(at=at)
    assert direct.asked == []


class Seen:
    """A generation that sees callers at addresses and asks peers back."""

    number = 1

    def __init__(self, **addresses: list[str]) -> None:
        self.addresses = addresses
        self.told: dict[str, bytes] = {}

    async def connected(self) -> dict[str, list[str]]:
        return self.addresses

    async def reach(self, peer: str, request: bytes) -> bytes:
        if peer not in self.told:
            raise ConnectionRefusedError
        return self.told[peer]

    def table(self) -> list[str]:
        return list(self.told)


async def test_dialling_back_goes_to_where_the_caller_is_and_nowhere_else() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    generation: Any = Seen(QmA=["/ip4/127.0.0.1/tcp/999"], QmB=["/p2p-circuit"])
    asked = port.to_bytes(2, "big")
    assert await dial_back(generation, "QmA", asked) == YES
    assert await dial_back(generation, "QmB", asked) == UNKNOWN
    assert await dial_back(generation, "QmC", asked) == UNKNOWN
    for junk in (b"", b"\0\0", b"\0\0\0", b"10.0.0.1:22"):
        assert await dial_back(generation, "QmA", junk) == UNKNOWN
    server.close()
    await server.wait_closed()
    assert await dial_back(generation, "QmA", asked) == NO


async def test_one_yes_is_enough_and_silence_is_no_answer() -> None:
    generation: Any = Seen()
    replaced: list[str] = []
    supervisor: Any = type("S", (), {"generation": generation, "replace": lambda self, g, why: replaced.append(why)})()
    carried: Any = type("C", (), {"client_mode": False})()
    reach = Reach("auto", 1, supervisor, carried, random.Random(1))
    for told, verdict in (
        ({"a": YES, "b": NO}, True), ({"a": NO, "b": UNKNOWN}, False), ({"a": UNKNOWN}, None), ({"a": b""}, None),
    ):  # fmt: skip
        generation.told = told
        assert await reach._ask(generation, list(told)) is verdict
    assert await reach._ask(generation, ["nobody"]) is None
    reach._conclude(generation, False)
    assert (reach.private, carried.client_mode, len(replaced)) == (True, True, 1)
    reach._conclude(generation, False)
    assert len(replaced) == 1
    reach._conclude(generation, True)
    assert (reach.private, carried.client_mode, len(replaced)) == (False, False, 2)


def test_an_announced_node_never_joins_as_a_client() -> None:
    carried: Any = type("C", (), {"client_mode": False})()
    nothing: Any = None
    reach = Reach("auto", 1, nothing, carried, random.Random(1), announced=True)
    reach._conclude(nothing, False)
    assert (reach.private, carried.client_mode) == (True, False)


def test_the_setting_overrules_the_probe() -> None:
    carried: Any = type("C", (), {"client_mode": False})()
    nothing: Any = None
    assert Reach("private", 1, nothing, carried, random.Random(1)).private
    assert carried.client_mode
