"""What the swarm's host gives a worker: the judge's scores and the prediction market, from the worker's status."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from swarm_core.status import JudgeStatus, MarketBet, MarketStatus
from swarm_exporter.samples import Samples

BET_STATES: tuple[str, ...] = get_args(MarketBet.model_fields["state"].annotation)


def add_judge(samples: Samples, node: str, status: JudgeStatus) -> None:
    """Samples of the judge; nothing before it was asked."""
    if status.reachable is None:
        return
    samples.add("rlswarm_judge_reachable", status.reachable, node)
    samples.add("rlswarm_judge_answers", len(status.answers), node)
    if status.answers:
        samples.add("rlswarm_judge_score_mean", sum(a.score for a in status.answers) / len(status.answers), node)
    swarm = [answer.swarm_score for answer in status.answers if answer.swarm_score is not None]
    if swarm:
        samples.add("rlswarm_judge_swarm_score_mean", sum(swarm) / len(swarm), node)


def add_market(samples: Samples, node: str, status: MarketStatus) -> None:
    """Samples of the market; nothing for a swarm without one."""
    if not status.market:
        return
    states: Counter[str] = Counter(bet.state for game in status.games for bet in game.bets)
    samples.add("rlswarm_market_playing", status.playing, node)
    samples.counts("rlswarm_market_bets", states, node, known=BET_STATES)
    samples.add("rlswarm_market_unclaimed_tokens", status.unclaimed, node)
    samples.add("rlswarm_market_profit_tokens", status.profit, node)
