"""Bets, claims and the balance over the worker API; and the drop-in that lets an unmodified upstream trainer in."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.support.fake_chain import MARKET

from login_proxy.drop_in import basic_token, write_user_data
from login_proxy.node import LoginNode
from login_proxy.outbox.intents import guess
from login_proxy.peers import UPSTREAM
from login_proxy.web import worker_api
from login_proxy.web.worker_api import make_worker_api
from swarm_core.errors import FatalError

TOKEN = "t" * 40
PEER = "QmPeerA"
ASYNC = {"prefer": "respond-async"}
GUESS = {"orgId": "local", "peerId": PEER, "gameId": 3, "clueId": 1, "choiceIdx": 2, "bet": 500}
CLAIM = {"orgId": "local", "peerId": PEER, "gameId": 3}
REGISTER = {"orgId": "local", "peerId": "QmUpstream"}


@asynccontextmanager
async def client(node: LoginNode, authorization: str = f"Bearer {TOKEN}") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(make_worker_api(node, TOKEN))
    headers = {"authorization": authorization}
    async with httpx.AsyncClient(transport=transport, base_url="http://login/api/", headers=headers) as api:
        yield api


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"worker:{password}".encode()).decode()


@pytest.fixture
def node(make_node: Callable[..., LoginNode], monkeypatch: pytest.MonkeyPatch) -> LoginNode:
    monkeypatch.setattr(worker_api, "WAIT_SECONDS", 0.05)
    node = make_node()
    node.store.retarget(replace(node.store.target, market=MARKET))
    return node


async def test_bets_and_claims_become_intents(node: LoginNode) -> None:
    async with client(node) as api:
        bet = await api.post("guess-answer", json=GUESS, headers=ASYNC)
        assert (bet.status_code, bet.json()["state"]) == (202, "queued")
        stored = node.store.get(bet.json()["intent"])
        assert stored is not None
        assert stored.request == guess(PEER, 3, 1, 2, 500)
        assert (await api.post("guess-answer", json=GUESS, headers=ASYNC)).json() == bet.json()
        assert (await api.post("guess-answer", json=GUESS | {"bet": 501}, headers=ASYNC)).status_code == 409
        assert (await api.post("claim-reward", json=CLAIM, headers=ASYNC)).status_code == 202
        assert (await api.post("guess-answer", json=GUESS | {"clueId": 2, "bet": 2**200})).status_code == 202
    assert node.store.counts() == {"guess": {"queued": 2}, "claim": {"queued": 1}}


@pytest.mark.parametrize(
    "change",
    [{"bet": 0}, {"bet": -1}, {"bet": 2**256}, {"bet": "5"}, {"gameId": -1}, {"clueId": True}, {"choiceIdx": None}],
)
async def test_bad_bets_are_refused(node: LoginNode, change: dict[str, object]) -> None:
    async with client(node) as api:
        assert (await api.post("guess-answer", json=GUESS | change)).status_code == 400
        assert (await api.post("claim-reward", json=CLAIM | {"gameId": "3"})).status_code == 400
        assert (await api.post("claim-reward", json=CLAIM | {"peerId": "QmStranger"})).status_code == 403
    assert node.store.counts() == {}


async def test_without_a_market_it_is_said(make_node: Callable[..., LoginNode]) -> None:
    node = make_node()
    async with client(node) as api:
        for path, body in (("guess-answer", GUESS), ("claim-reward", CLAIM), ("bet-token-balance", REGISTER)):
            answer = await api.post(path, json=body | {"peerId": PEER})
            assert answer.status_code == 503
            assert "market" in answer.json()["error"]
    assert node.store.counts() == {}


async def test_the_drop_in_is_off_by_default(node: LoginNode) -> None:
    async with client(node, basic(TOKEN)) as api:
        assert (await api.post("register-peer", json=REGISTER)).status_code == 401
    async with client(node) as api:
        assert (await api.post("register-peer", json=REGISTER)).status_code == 403
    assert node.settings.drop_in is False


async def test_the_drop_in_takes_the_token_in_the_url_and_peers_of_its_own(
    make_node: Callable[..., LoginNode],
) -> None:
    node = make_node(drop_in=True)
    for wrong in (basic("x"), basic(""), "Basic ????", "Basic", f"basic {TOKEN}"):
        async with client(node, wrong) as api:
            assert (await api.post("register-peer", json=REGISTER)).status_code == 401
    async with client(node, basic(TOKEN)) as api:
        assert (await api.post("submit-reward", json=REGISTER | {"roundNumber": 1})).status_code in (400, 403)
        assert (await api.post("register-peer", json=REGISTER, headers=ASYNC)).status_code == 202
        reward = REGISTER | {"roundNumber": 1, "stageNumber": 0, "reward": 4}
        assert (await api.post("submit-reward", json=reward, headers=ASYNC)).status_code == 202
    assert node.peers.known()["QmUpstream"] == UPSTREAM
    assert await node.peers.bind("QmUpstream", "0xme", 1, "0xc")
    assert not await node.peers.bind(PEER, "0xme", 1, "0xc"), "others still need their daemon's signature"


async def test_user_data_is_written_as_upstream_reads_it(make_node: Callable[..., LoginNode], tmp_path: Path) -> None:
    node = make_node(drop_in=True, api_token_file=tmp_path / "token")
    await node.open_account(create=True)
    text = (tmp_path / "userData.json").read_text()
    account = node.wallet.address if node.wallet is not None else ""
    assert json.loads(text) == {"local": {"orgId": "local", "address": account, "userId": "local"}}
    assert text.splitlines()[1].split('"')[1] == "local", "the first quoted word of the second line is the orgId"
    with pytest.raises(FatalError, match="cannot be written"):
        write_user_data(tmp_path / "nowhere", account)


def test_the_password_of_a_basic_header() -> None:
    assert basic_token(basic("a:b").encode()) == b"a:b"
    assert basic_token(b"Bearer x") is None
    assert basic_token(b"Basic !") is None
    assert basic_token(b"Basic " + base64.b64encode(b"nothing")) == b""
