"""The pages about market and judge: every bet with stake, odds and outcome; scores beside the swarm's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.support.statuses import node_status

from login_proxy.node import LoginNode
from login_proxy.peers import PeerView
from login_proxy.web.market import MarketPages
from login_proxy.web.site import Site
from swarm_core.status import JudgedAnswer, JudgeStatus, MarketBet, MarketGame, MarketStatus, NodeStatus

GAME = MarketGame(
    game=3, clue="It is <odd>.", choices=["6", "7"], status="revealed", answer=1, spent=500, claimable=900,
    claimed=True, payout=900,
    bets=[
        MarketBet(clue=0, choice=1, stake=300, belief=0.75, odds=1.8, state="placed"),
        MarketBet(clue=1, choice=0, stake=200, belief=0.5, state="missed", reason="the round ended"),
    ],
)  # fmt: skip


class FakeVisit:
    """A reader's visit."""

    session = None
    secure = False

    class request:
        class url:
            path = "/market"


@pytest.fixture
def pages(make_node: Callable[..., LoginNode], monkeypatch: pytest.MonkeyPatch) -> Callable[..., MarketPages]:
    """The pages over a worker with this status."""

    def make(**fields: Any) -> MarketPages:
        node = make_node(login="auto")
        status = node_status()
        worker = (status if isinstance(status, NodeStatus) else NodeStatus.model_validate(status)).model_copy(
            update=fields
        )

        async def views(max_age: float = 0.0) -> list[PeerView]:
            return [PeerView("main", None, worker)]

        monkeypatch.setattr(node.peers, "views", views)
        return MarketPages(Site(node))

    return make


async def test_every_bet_is_shown_with_its_outcome(pages: Callable[..., MarketPages]) -> None:
    market = MarketStatus(market="1/0xa", playing=True, games=[GAME])
    html = bytes((await pages(market=market).market(FakeVisit())).body).decode()  # type: ignore[arg-type]
    for text in (
        "It is &lt;odd&gt;.",
        "Game 3",
        "300",
        "75%",
        "1.80",
        "right",
        "too late",
        "the round ended",
        "+400",
        "claimed",
    ):
        assert text in html, text
    assert "<odd>" not in html  # the judge's text is a stranger's


async def test_a_node_that_does_not_bet_says_how_to(pages: Callable[..., MarketPages]) -> None:
    html = bytes((await pages(market=MarketStatus()).market(FakeVisit())).body).decode()  # type: ignore[arg-type]
    assert "SWARM_PLAY_MARKET=1" in html
    assert "No bet yet." in html


async def test_scores_beside_the_swarm(pages: Callable[..., MarketPages]) -> None:
    answers = [JudgedAnswer(round=41, score=1.0, at=1.0, swarm_score=0.25), JudgedAnswer(round=42, score=0.0, at=2.0)]
    judge = JudgeStatus(url="http://judge", reachable=False, refused="PeerNotRegistered", answers=answers)
    html = bytes((await pages(judge=judge).judge(FakeVisit())).body).decode()  # type: ignore[arg-type]
    for text in ("41", "1.00", "0.25", "+0.75", "0.50", "does not answer", "PeerNotRegistered"):
        assert text in html, text
