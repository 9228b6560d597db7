"""Handing over rewards: what is accepted, what waits, what is given up, and that nothing is lost on the way."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from swarm_core.client import Breaker, ServiceClient
from swarm_node import login_client as login_client_module
from swarm_node import report as report_module
from swarm_node.ledger import Ledger
from swarm_node.report import Reporter

PEER = "QmOwn"


class LoginService:
    """Answers by path from `answers` (202 where nothing is set) and keeps what came in."""

    def __init__(self) -> None:
        self.answers: dict[str, int | Exception] = {}
        self.requests: list[tuple[str, dict[str, object]]] = []
        self.tokens: list[str] = []
        self.headers: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.requests.append((path, json.loads(request.content)))
        self.tokens.append(request.headers["authorization"])
        self.headers.append(request.headers)
        answer = self.answers.get(path, 202)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, json={"hash": None, "state": "queued"})


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> LoginService:
    """The login service; the reporter's clients reach it, with a breaker that never opens."""
    service = LoginService()

    def client(url: str, *, token: str) -> ServiceClient:
        return ServiceClient(url, token=token, transport=httpx.MockTransport(service), breaker=Breaker(limit=10**9))

    monkeypatch.setattr(login_client_module, "ServiceClient", client)
    monkeypatch.setattr(login_client_module, "_CALL_SECONDS", 0.05)
    return service


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "ledger.json")


@pytest.fixture
def reporter(tmp_path: Path, ledger: Ledger) -> Reporter:
    (tmp_path / "token").write_text("first\n")
    return Reporter("http://login:3001", tmp_path / "token", ledger, 0)


def earn(ledger: Ledger, reporter: Reporter, rounds: range, reward: float = 2.0) -> None:
    for number in rounds:
        ledger.credit("c0ffee", number, reward)
        reporter.make(100 + number, 1, ["QmWinner"], PEER)


async def test_reward_and_vote_are_handed_over(login: LoginService, ledger: Ledger, reporter: Reporter) -> None:
    earn(ledger, reporter, range(1))
    await reporter.deliver()
    common = {"orgId": "local", "roundNumber": 100, "peerId": PEER}
    assert login.requests == [
        ("/api/submit-reward", {**common, "stageNumber": 1, "reward": 2}),
        ("/api/submit-winner", {**common, "winners": ["QmWinner"]}),
    ]
    assert login.headers[0]["prefer"] == "respond-async"
    assert set(login.tokens) == {"Bearer first"}
    assert (ledger.outgoing(), ledger.handed_over, reporter.reachable) == ([], 2, True)
    await reporter.close()


async def test_a_report_without_reward_is_a_vote_only(login: LoginService, ledger: Ledger, reporter: Reporter) -> None:
    earn(ledger, reporter, range(1), reward=0.5)
    await reporter.deliver()
    assert [path for path, _ in login.requests] == ["/api/submit-winner"]
    assert (ledger.outgoing(), ledger.pending) == ([], 0.5)


async def test_a_refused_vote_does_not_hold_the_reward(login: LoginService, ledger: Ledger, reporter: Reporter) -> None:
    login.answers["/api/submit-winner"] = 422
    earn(ledger, reporter, range(2))
    await reporter.deliver()
    assert (ledger.outgoing(), ledger.handed_over) == ([], 4)


@pytest.mark.parametrize("status", [400, 409, 422])
async def test_a_refused_reward_is_pending_again_and_the_next_report_goes_on(
    login: LoginService, ledger: Ledger, reporter: Reporter, status: int
) -> None:
    login.answers["/api/submit-reward"] = status
    earn(ledger, reporter, range(2))
    await reporter.deliver()
    assert (ledger.outgoing(), ledger.handed_over, ledger.pending) == ([], 0, 4.0)
    assert len(login.requests) == 2
    login.answers.clear()
    reporter.make(102, 0, [], PEER)
    await reporter.deliver()
    assert (ledger.handed_over, ledger.pending) == (4, 0.0)


@pytest.mark.parametrize("answer", [401, 403, 404, 500, 503, httpx.ConnectError("refused"), httpx.ReadTimeout("slow")])
@pytest.mark.parametrize("path", ["/api/submit-reward", "/api/submit-winner"])
async def test_what_can_heal_leaves_the_report(
    login: LoginService, ledger: Ledger, reporter: Reporter, answer: int | Exception, path: str
) -> None:
    login.answers[path] = answer
    earn(ledger, reporter, range(2))
    await reporter.deliver()
    assert (len(ledger.outgoing()), ledger.handed_over, reporter.reachable) == (2, 0, False)
    assert {body["roundNumber"] for _, body in login.requests} == {100}  # the oldest first, none overtakes
    login.answers.clear()
    await reporter.deliver()
    assert (ledger.outgoing(), ledger.handed_over, reporter.reachable) == ([], 4, True)


async def test_a_new_token_is_read_after_401(
    login: LoginService, ledger: Ledger, reporter: Reporter, tmp_path: Path
) -> None:
    login.answers["/api/submit-reward"] = 401
    earn(ledger, reporter, range(1))
    await reporter.deliver()
    (tmp_path / "token").write_text("second")
    login.answers.clear()
    await reporter.deliver()
    assert login.tokens == ["Bearer first", "Bearer second", "Bearer second"]
    assert ledger.handed_over == 2


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_text(" \n")])
async def test_no_token_yet(
    login: LoginService, ledger: Ledger, reporter: Reporter, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    damage(tmp_path / "token")
    earn(ledger, reporter, range(1))
    await reporter.deliver()
    assert (login.requests, len(ledger.outgoing()), reporter.reachable) == ([], 1, False)
    (tmp_path / "token").write_text("first")
    await reporter.deliver()
    assert ledger.handed_over == 2


async def test_order_and_portion_after_a_long_outage(
    login: LoginService, ledger: Ledger, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_module, "_MOST_AT_ONCE", 3)
    earn(ledger, reporter, range(5))
    await reporter.deliver()
    assert len(ledger.outgoing()) == 2
    await reporter.deliver()
    assert ledger.outgoing() == []
    rewards = [body["roundNumber"] for path, body in login.requests if path.endswith("reward")]
    assert rewards == [100, 101, 102, 103, 104]


async def test_nothing_to_hand_over(login: LoginService, reporter: Reporter) -> None:
    await reporter.deliver()
    assert login.requests == []
    await reporter.close()


def test_due(tmp_path: Path, ledger: Ledger) -> None:
    always, rarely = (Reporter("http://x", tmp_path / "t", ledger, every) for every in (0, 3600))
    assert always.due()
    assert rarely.due()  # the first is never late
    ledger.credit("c0ffee", 0, 1.0)
    rarely.make(1, 0, [], PEER)
    assert not rarely.due()
    always.make(2, 0, [], PEER)
    assert always.due()


def test_a_round_that_was_reported_does_not_start_the_interval(tmp_path: Path, ledger: Ledger) -> None:
    ledger.report(1, 0, [], PEER)
    rarely = Reporter("http://x", tmp_path / "t", ledger, 3600)
    rarely.make(1, 0, [], PEER)
    assert rarely.due()
