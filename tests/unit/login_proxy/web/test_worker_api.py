"""The worker API: who may call, what is refused before it is read, and upstream's answers for every state."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from tests.support.fake_chain import OTHER

from login_proxy.node import LoginNode
from login_proxy.outbox.intents import Attempt, ParkReason
from login_proxy.web import worker_api
from login_proxy.web.worker_api import MAX_BODY_BYTES, make_worker_api

TOKEN = "t" * 40
PEER = "QmPeerA"
ASYNC = {"prefer": "respond-async"}
REWARD = {"orgId": "local", "peerId": PEER, "roundNumber": 3, "stageNumber": 0, "reward": 5}
VOTE = {"orgId": "local", "peerId": PEER, "roundNumber": 3, "winners": [PEER]}
REGISTER = {"orgId": "local", "peerId": PEER}


@pytest.fixture
def node(make_node: Callable[..., LoginNode]) -> LoginNode:
    return make_node()


@pytest.fixture
async def api(node: LoginNode, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setattr(worker_api, "WAIT_SECONDS", 0.05)
    transport = httpx.ASGITransport(make_worker_api(node, TOKEN))
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://login/api/", headers=headers) as client:
        yield client


@pytest.mark.parametrize("offered", ["", "Bearer", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer ü"])
async def test_without_the_token_nothing_is_answered(api: httpx.AsyncClient, node: LoginNode, offered: str) -> None:
    for method, path in [
        ("POST", "register-peer"), ("POST", "submit-reward"), ("POST", "submit-winner"), ("GET", "get-api-key-status"),
        ("GET", "no-such-path"), ("GET", "/openapi.json"), ("GET", "/docs"),
    ]:  # fmt: skip
        answer = await api.request(method, path, json=REWARD, headers={b"authorization": offered.encode("utf-8")})
        assert (answer.status_code, answer.json()) == (401, {"error": "unauthorized"})
    assert node.store.counts() == {}


async def test_there_is_no_documentation_page(api: httpx.AsyncClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert (await api.get(path)).status_code == 404


async def test_an_intent_is_answered_when_it_is_on_disk(api: httpx.AsyncClient, node: LoginNode) -> None:
    first = await api.post("submit-reward", json=REWARD, headers=ASYNC)
    assert first.status_code == 202
    assert first.json()["state"] == "queued"
    assert first.json()["hash"] is None
    stored = node.store.get(first.json()["intent"])
    assert stored is not None
    assert stored.request.reward == 5
    assert (await api.post("submit-reward", json=REWARD, headers=ASYNC)).json() == first.json()
    assert (await api.post("submit-reward", json=REWARD | {"reward": 6}, headers=ASYNC)).status_code == 409
    assert (await api.post("submit-winner", json=VOTE, headers=ASYNC)).status_code == 202
    assert (await api.post("register-peer", json=REGISTER, headers=ASYNC)).status_code == 202
    assert node.store.counts() == {k: {"queued": 1} for k in ("register", "reward", "winner")}


async def test_without_prefer_the_call_waits_and_then_says_where_it_is(api: httpx.AsyncClient) -> None:
    answer = await api.post("submit-reward", json=REWARD)
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")


@pytest.mark.parametrize(
    "change",
    [
        {"peerId": ""}, {"peerId": "Qm/../x"}, {"peerId": "Q" * 129}, {"peerId": 7}, {"peerId": None},
        {"roundNumber": -1}, {"roundNumber": 2**53 + 1}, {"roundNumber": "3"}, {"roundNumber": 3.0},
        {"roundNumber": True}, {"stageNumber": -1}, {"stageNumber": 256}, {"reward": 2**53 + 1}, {"reward": -(2**60)},
        {"reward": 1.5}, {"reward": "5"}, {"reward": None}, {"orgId": 1}, {"orgId": "x" * 200},
    ],
)  # fmt: skip
async def test_bad_rewards_are_refused(api: httpx.AsyncClient, node: LoginNode, change: dict[str, Any]) -> None:
    answer = await api.post("submit-reward", json=REWARD | change, headers=ASYNC)
    assert (answer.status_code, answer.json()) == (400, {"error": "bad request"})
    assert node.store.counts() == {}


@pytest.mark.parametrize("winners", [[], ["Qm"] * 11, ["not ok"], "Qm", [1], None, ["Q" * 129]])
async def test_bad_votes_are_refused(api: httpx.AsyncClient, node: LoginNode, winners: object) -> None:
    answer = await api.post("submit-winner", json=VOTE | {"winners": winners}, headers=ASYNC)
    assert answer.status_code == 400
    assert node.store.counts() == {}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b'{"orgId": "local"}', b"[" * 10_000])
async def test_what_is_no_body_is_refused(api: httpx.AsyncClient, body: bytes) -> None:
    assert (await api.post("submit-reward", content=body)).status_code == 400


async def test_a_large_body_is_not_read_to_its_end(api: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 * MAX_BODY_BYTES:
            sent += 4096
            yield b" " * 4096

    assert (await api.post("submit-reward", content=endless())).status_code == 413
    assert sent <= 2 * MAX_BODY_BYTES


async def test_strangers_are_refused(api: httpx.AsyncClient, node: LoginNode) -> None:
    assert (await api.post("submit-reward", json=REWARD | {"orgId": "other"})).status_code == 404
    assert (await api.post("submit-reward", json=REWARD | {"peerId": "QmStranger"})).status_code == 403
    assert node.store.counts() == {}


async def test_the_key_is_activated_with_the_account(api: httpx.AsyncClient, node: LoginNode) -> None:
    asked = {"orgId": "local"}
    assert (await api.get("get-api-key-status", params=asked)).text == "pending"
    await node.open_account(create=True)
    activated = await api.get("get-api-key-status", params=asked)
    assert activated.text == "activated"
    assert activated.headers["content-type"].startswith("text/plain")
    assert (await api.get("get-api-key-status", params={"orgId": "x"})).status_code == 404


async def test_outcomes_in_upstreams_words(api: httpx.AsyncClient, node: LoginNode) -> None:
    key = (await api.post("submit-reward", json=REWARD, headers=ASYNC)).json()["intent"]
    intent = node.store.get(key)
    assert intent is not None
    node.store.sign([(intent.id, Attempt("0xhash", 0, b"raw", "0xme"))])
    sent = await api.post("submit-reward", json=REWARD, headers=ASYNC)
    assert (sent.status_code, sent.json()["hash"], sent.json()["state"]) == (202, "0xhash", "sent")
    node.store.deliver([(intent.id, "0xhash", 3)], None)
    for headers in ({}, ASYNC):
        done = await api.post("submit-reward", json=REWARD, headers=headers)
        assert (done.status_code, done.json()["hash"]) == (200, "0xhash")

    vote, _ = node.store.put(worker_api.WinnerBody.model_validate(VOTE).intent())
    node.store.reject(vote.id, "InvalidVote")
    rejected = await api.post("submit-winner", json=VOTE, headers=ASYNC)
    assert (rejected.status_code, rejected.json()) == (400, {"error": "InvalidVote", "metaMessages": []})


async def test_registrations_in_upstreams_words(api: httpx.AsyncClient, node: LoginNode) -> None:
    row, _ = node.store.put(worker_api.RegisterBody.model_validate(REGISTER).intent())
    node.store.park(ParkReason.OWNED_BY_OTHER, PEER)
    foreign = await api.post("register-peer", json=REGISTER)
    assert (foreign.status_code, foreign.json()["error"]) == (400, "PeerIdAlreadyRegistered")
    assert foreign.json()["metaMessages"]
    assert OTHER not in foreign.text
    node.store.unpark(ParkReason.OWNED_BY_OTHER)
    node.store.deliver([(row.id, None, 1)], None)
    ours = await api.post("register-peer", json=REGISTER)
    assert ours.json() == {"error": "PeerIdAlreadyRegistered", "metaMessages": []}
