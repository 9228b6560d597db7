"""`GET /metrics` of the judge: counts of questions and refusals, the scorer, and the game that runs.

A collector on a private registry reads the parts at scrape time; nothing is counted twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from swarm_core.metrics import PREFIX
from swarm_core.resident import resident_bytes
from swarm_gym.pool import ScorerPool
from swarm_judge.judge import Judge


class JudgeCollector(Collector):
    """One pass over the judge."""

    def __init__(self, judge: Judge, pool: ScorerPool) -> None:
        self._judge, self._pool = judge, pool

    def collect(self) -> Iterable[Metric]:
        """All families."""
        judge, pool = self._judge, self._pool
        yield _labelled("judge_questions", "Questions by what became of them", "result", judge.evaluation.counts)
        yield _labelled("judge_refused", "Requests that were not served, by reason", "reason", judge.refused)
        yield _labelled("judge_scorer", "Answers that were too hard for the scorer", "result",
                        {"quarantined": pool.quarantined, "killed": pool.killed})  # fmt: skip
        yield GaugeMetricFamily(f"{PREFIX}judge_open_sessions", "Questions that wait", judge.store.open_count())
        yield GaugeMetricFamily(f"{PREFIX}judge_chain_reachable", "1 when the chain was read", judge.rounds.reachable)
        if judge.rounds.current is not None:
            yield GaugeMetricFamily(f"{PREFIX}judge_round", "Round of the contract", judge.rounds.current)
        yield GaugeMetricFamily(
            f"{PREFIX}judge_memory_bytes", "Resident memory of the judge's process", resident_bytes()
        )
        if judge.master is None:
            return
        yield _labelled("market_transactions", "Transactions of the game master by kind", "kind", judge.master.sent)
        yield GaugeMetricFamily(
            f"{PREFIX}market_waiting", "1 while the game master cannot go on", judge.master.reason != ""
        )
        if judge.master.game is not None:
            game = judge.master.game
            yield GaugeMetricFamily(f"{PREFIX}market_game", "Number of the newest game", game.index)
            yield GaugeMetricFamily(f"{PREFIX}market_pool_tokens", "Bets of the newest game", game.pool)


def _labelled(name: str, text: str, label: str, counts: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(PREFIX + name, text, labels=[label])
    for value, count in sorted(counts.items()):
        family.add_metric([value], count)
    return family
