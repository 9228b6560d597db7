"""Judge and market as series: nothing before there is something, then scores, bets, profit and what is owed."""

from __future__ import annotations

from typing import Any

from swarm_core.status import JudgedAnswer, JudgeStatus, MarketBet, MarketGame, MarketStatus
from swarm_exporter.collectors.host import add_judge, add_market
from swarm_exporter.samples import Samples


def test_nothing_without_a_judge_or_a_market(rendered: Any) -> None:
    samples = Samples()
    add_judge(samples, "main", JudgeStatus())
    add_market(samples, "main", MarketStatus())
    assert rendered(samples)("rlswarm_judge_reachable", node="main") is None
    assert rendered(samples)("rlswarm_market_playing", node="main") is None


def test_scores_beside_the_swarm(rendered: Any) -> None:
    samples = Samples()
    answers = [JudgedAnswer(round=1, score=1.0, at=1.0, swarm_score=0.25), JudgedAnswer(round=2, score=0.0, at=2.0)]
    add_judge(samples, "main", JudgeStatus(url="http://judge", reachable=True, answers=answers))
    values = rendered(samples)
    assert values("rlswarm_judge_reachable", node="main") == 1
    assert values("rlswarm_judge_answers", node="main") == 2
    assert values("rlswarm_judge_score_mean", node="main") == 0.5
    assert values("rlswarm_judge_swarm_score_mean", node="main") == 0.25


def test_bets_profit_and_what_is_unclaimed(rendered: Any) -> None:
    samples = Samples()
    bets = [MarketBet(clue=0, choice=1, stake=5, state="placed"), MarketBet(clue=1, choice=1, stake=5, state="missed")]
    games = [
        MarketGame(game=1, bets=bets, status="revealed", spent=5, claimable=40),
        MarketGame(game=2, status="revealed", spent=10, claimable=0),
    ]
    add_market(samples, "peer-1", MarketStatus(market="1/0xa", playing=True, games=games))
    values = rendered(samples)
    assert values("rlswarm_market_playing", node="peer-1") == 1
    assert values("rlswarm_market_bets", node="peer-1", state="placed") == 1
    assert values("rlswarm_market_bets", node="peer-1", state="missed") == 1
    assert values("rlswarm_market_bets", node="peer-1", state="refused") == 0
    assert values("rlswarm_market_unclaimed_tokens", node="peer-1") == 40
    assert values("rlswarm_market_profit_tokens", node="peer-1") == 25
