"""One round from end to end with small collaborators at its edges, and what failing rounds and stops lead to."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.statuses import MAIN_PEER, OTHER_PEER, node_status

from swarm_core.errors import FatalError, SwarmError, Unavailable
from swarm_core.genrl_records import decode_groups
from swarm_core.records import GroupBatch, RolloutGroup
from swarm_core.runner import Service
from swarm_core.status import DhtStatus, RoundRecord
from swarm_node import screening as screening_module
from swarm_node import worker as worker_module
from swarm_node.board import Board
from swarm_node.exchange import Collected, ExternalGroup
from swarm_node.hyper import Hyperparameters
from swarm_node.ledger import Ledger
from swarm_node.policy import Completion
from swarm_node.round import Rollout
from swarm_node.rounds import ChainRound
from swarm_node.sampler import ScoredGroup, SeenGroups
from swarm_node.settings import NodeSettings
from swarm_node.tasks import Task
from swarm_node.train import StepMetrics
from swarm_node.worker import Worker


def task(seed: int) -> Task:
    return Task("chain_sum", seed, f"question {seed}", "4", {"metadata": {"source_dataset": "chain_sum"}})


def rollout(seed: int, rewards: Sequence[float]) -> Rollout:
    completions = [Completion([1, 2, 3], [-0.1] * 3, f"text {number}", True) for number in range(len(rewards))]
    return Rollout(task(seed), [1], completions, list(rewards))


def foreign(seed: int, peer: str = OTHER_PEER, question: str | None = None) -> ExternalGroup:
    claim = task(seed)
    group = RolloutGroup(claim.name, seed, question or claim.question, "4", ("4", "5"), (9.0, 9.0))
    return ExternalGroup(peer, 1.0, group)


class Computing:
    """In the place of `round.Learner`: given rollouts, and what it was asked to train on."""

    def __init__(self) -> None:
        self.hyper = Hyperparameters(num_questions=2, num_generations=2, num_external=2)
        self.own = [rollout(1, [1.0, 0.0]), rollout(2, [0.5, 0.5])]
        self.trained: list[tuple[list[Rollout], list[ScoredGroup]]] = []
        self.asked: list[tuple[str, str, int]] = []
        self.evaluated: list[int] = []
        self.error: Exception | None = None
        self.trainer = SimpleNamespace(optimizer_steps=0, micro_batch_tokens=0)
        self.tasks = SimpleNamespace(recompute=lambda name, seed: task(seed))

    def publishable(self, rollout: Rollout) -> RolloutGroup:
        return rollout.as_group()

    def roll_out(self, swarm: str, peer_id: str, number: int) -> list[Rollout]:
        if self.error is not None:
            raise self.error
        self.asked.append((swarm, peer_id, number))
        return self.own

    def train(self, own: list[Rollout], external: list[ScoredGroup]) -> Any:
        self.trained.append((own, external))
        self.trainer.optimizer_steps += 1
        return StepMetrics(0.5, 1.5, 0.1, 0.9, 0.0, 12, 2, 1, len(external), 1, 0.5, 40)

    def evaluate(self, questions: int, seed: int) -> float:
        self.evaluated.append(seed)
        return 0.25


class Swarm:
    """In the place of the daemon's client."""

    def __init__(self) -> None:
        self.peers: int | None = 1
        self.collected = Collected("ready")
        self.published: list[GroupBatch] = []
        self.takes = True
        self.waits: list[float] = []
        self.wanted: list[tuple[int, float, float]] = []
        self.verdicts: list[tuple[str, str, int]] = []
        self.genrl: dict[int, bytes] = {}
        self.genrl_rounds: list[int | None] = []

    async def status(self) -> DhtStatus | None:
        if self.peers is None:
            return None
        return DhtStatus(version="0", instance="i", state="ready", state_since=0.0, peer_id=MAIN_PEER, peers=self.peers)

    async def publish(self, batch: GroupBatch) -> bool:
        self.published.append(batch)
        return self.takes

    async def report(self, verdicts: Sequence[tuple[str, str, int]]) -> None:
        self.verdicts += verdicts

    async def publish_genrl(self, number: int, record: bytes) -> bool:
        self.genrl[number] = record
        return True

    async def collect(
        self, want: int, seconds: float, max_age: float, wait: float = 0.0, genrl_round: int | None = None
    ) -> Collected:
        self.genrl_rounds.append(genrl_round)
        self.wanted.append((want, seconds, max_age))
        self.waits.append(wait)
        return self.collected


class Chain:
    """In the place of the chain's client: the other peer is registered."""

    def __init__(self) -> None:
        self.error: SwarmError | None = None

    async def owners(self, peers: Sequence[str]) -> list[str | None]:
        if self.error is not None:
            raise self.error
        return ["0xowner" if peer == OTHER_PEER else None for peer in peers]


class Setting:
    """A worker with its collaborators; rounds of the contract come from a list, then the service stops."""

    def __init__(self, directory: Path, rounds: list[ChainRound | None], **settings: Any) -> None:
        self.service = Service("swarm-node")
        self.board = Board(node_status(rounds={}, external_used=0, external_rejected={}, state="training"))
        self.learner, self.swarm, self.chain = Computing(), Swarm(), Chain()
        self.ledger = Ledger(directory / "ledger.json")
        self.reports: list[tuple[int, int, list[str], str]] = []
        self.saved: list[int] = []
        self._rounds = rounds
        self.clock = SimpleNamespace(next=self._next, refresh=self._nothing, current=7, behind=0, reachable=True)
        self.progress = SimpleNamespace(
            config_hash="c0ffee",
            training_round=0,
            saved_step=None,
            saved_sha256="sha",
            seen=SeenGroups(),
            finished=self._finished,
            skip=self._skip,
        )
        self.reporter = SimpleNamespace(due=lambda: True, make=self._make, deliver=self._nothing, reachable=True)
        self.worker = Worker(
            NodeSettings(run_dir=directory, state_dir=directory, eval_steps=2, **settings),
            self.service, self.board, self.learner, self.progress, self.swarm, self.chain, self.clock, self.ledger,
            self.reporter,
        )  # type: ignore[arg-type]  # fmt: skip

    async def _next(self) -> ChainRound | None:
        if not self._rounds:
            self.service.stop.set()
            return None
        return self._rounds.pop(0)

    async def _nothing(self) -> None:
        return

    def _make(self, chain_round: int, stage: int, winners: list[str], peer_id: str) -> None:
        self.reports.append((chain_round, stage, winners, peer_id))

    def _finished(self, number: int, held_out: float | None) -> bool:
        self.saved.append(number)
        self.held_out = held_out
        self.progress.training_round = number + 1
        return True

    def _skip(self, number: int) -> None:
        self.progress.training_round = max(self.progress.training_round, number + 1)

    async def run(self) -> list[RoundRecord]:
        await self.worker.run()
        return self.board.history(100)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(worker_module, "_IDENTITY_SECONDS", 0.0)
    # the scorer of the real round needs reasoning-gym; here "4" is right
    monkeypatch.setattr(
        screening_module, "score_group", lambda _task, texts: [1.0 if text == "4" else 0.0 for text in texts]
    )
    return tmp_path


async def test_a_full_round(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0)], chain_id=5)
    setting.swarm.collected = Collected(
        "ready", [foreign(3), foreign(4, question="forged"), foreign(5, MAIN_PEER)], {"stale": 2}
    )
    (record,) = await setting.run()

    assert setting.learner.asked == [("5", MAIN_PEER, 0)]
    # only the group that can teach is offered
    (batch,) = setting.swarm.published
    assert batch.round == 0
    assert abs(batch.published_at - time.time()) < 60
    assert [group.seed for group in batch.groups] == [1]
    assert record.published == [batch.groups[0].digest()]
    # the other peer's group was verified, re-scored and trained on beside our own
    ((own, external),) = setting.learner.trained
    assert own == setting.learner.own
    assert [(group.peer_id, group.rewards) for group in external] == [(OTHER_PEER, (1.0, 0.0))]
    assert [(used.peer, used.sha256) for used in record.external] == [(OTHER_PEER, foreign(3).group.digest())]
    assert record.external_rejected == {"stale": 2, "wrong_task": 1, "own": 1}
    assert setting.swarm.wanted[0][0] >= 2

    assert (record.result, record.training_round, record.chain_round) == ("ok", 0, 7)
    assert (record.own_reward, record.batch_reward, record.held_out_reward) == (0.5, 0.5, 0.25)
    assert (record.loss, record.grad_norm, record.clip_ratio) == (0.5, 1.5, 0.1)
    assert (record.groups_trained, record.groups_skipped, record.optimizer_step) == (2, 1, 1)
    assert record.completion_tokens == 12
    assert (record.entropy, record.zero_advantage_share) == (0.9, 0.5)
    assert (record.weights_sha256, setting.held_out) == ("sha", 0.25)
    assert {"generate", "exchange", "score", "train", "checkpoint", "submit"} <= set(record.seconds)
    assert abs(record.finished_at - time.time()) < 60
    assert (setting.ledger.pending, setting.ledger.credited_round("c0ffee"), setting.saved) == (2.0, 0, [0])
    # a registered peer whose groups were as good as ours gets the vote
    assert setting.reports == [(7, 0, [OTHER_PEER], MAIN_PEER)]

    status = setting.board.status
    assert (status.phase, status.state, status.peer_id) == ("stopped", "training", MAIN_PEER)
    assert (status.rounds, status.external_used, status.external_rejected) == (
        {"ok": 1}, 1, {"stale": 2, "wrong_task": 1, "own": 1},
    )  # fmt: skip
    assert status.reward_pending == 2.0


class Memory:
    """In the place of the memory plan: one step can be taken."""

    micro_batch_tokens, groups, steps, told = 512, 2, 0, ""

    def watching(self) -> Any:
        return contextlib.nullcontext()

    def step_down(self, reason: str) -> bool:
        if self.steps:
            return False
        self.micro_batch_tokens, self.steps, self.told = 256, 1, f"smaller: {reason}"
        return True


async def test_out_of_memory_makes_the_same_round_smaller(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0), ChainRound(7, 0)])
    setting.worker.adopt(Memory())  # type: ignore[arg-type]
    setting.learner.error = MemoryError("no room")
    record, _ = await setting.run()
    assert record.result == "out_of_memory"
    assert setting.learner.trainer.micro_batch_tokens == 256
    status = setting.board.status
    assert (status.micro_batch_tokens, status.memory_steps_down) == (256, 1)
    assert status.memory_note == "smaller: no room"
    # the first round was not passed over; the second found no step left and was
    assert status.rounds == {"out_of_memory": 1, "MemoryError": 1}
    assert setting.progress.training_round == 1


async def test_a_group_is_used_once(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0), ChainRound(8, 0)])
    setting.swarm.collected = Collected("ready", [foreign(3)])
    first, second = await setting.run()
    assert (len(first.external), len(second.external)) == (1, 0)
    assert second.external_rejected == {"duplicate": 1}


async def test_news_is_waited_for_after_a_round_with_nothing_new(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0), ChainRound(8, 0), ChainRound(9, 0)])
    setting.swarm.collected = Collected("ready", [foreign(3)])
    await setting.run()
    assert setting.swarm.waits == [0.0, 0.0, 1.0]  # used, seen before, so: hold the answer


async def test_no_more_than_j_are_drawn(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0)])
    setting.swarm.collected = Collected("ready", [foreign(seed) for seed in range(3, 12)])
    (record,) = await setting.run()
    assert len(record.external) == len({used.sha256 for used in record.external}) == 2


async def test_evaluation_is_due_every_few_rounds(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(number, 0) for number in range(5)])
    records = await setting.run()
    assert [record.held_out_reward for record in records] == [0.25, None, 0.25, None, 0.25]


async def test_without_a_chain_it_trains_and_reports_nothing(directory: Path) -> None:
    setting = Setting(directory, [None, None])
    records = await setting.run()
    assert [record.chain_round for record in records] == [None, None]
    assert (setting.reports, setting.ledger.pending) == ([], 4.0)


async def test_owners_that_cannot_be_read_leave_the_vote_with_ourselves(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0)])
    setting.swarm.collected = Collected("ready", [foreign(3)])
    setting.chain.error = Unavailable("x")
    await setting.run()
    assert setting.reports == [(7, 0, [MAIN_PEER], MAIN_PEER)]


async def test_no_external_groups_wanted(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0)])
    setting.learner.hyper = Hyperparameters(num_external=0)
    (record,) = await setting.run()
    assert (setting.swarm.wanted, record.external) == ([], [])
    assert len(setting.swarm.published) == 1


async def test_alone_and_back(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0)])
    setting.swarm.peers = 0
    await setting.run()
    assert setting.board.status.state == "isolated"


async def test_a_daemon_that_goes_away_does_not_stop_training(directory: Path) -> None:
    setting = Setting(directory, [])
    setting.ledger.identify(MAIN_PEER)
    setting.swarm.peers = None
    setting._rounds.append(ChainRound(7, 0))
    (record,) = await setting.run()
    assert (record.result, record.external) == ("ok", [])
    status = setting.board.status
    assert (status.state, status.dht_state, status.peer_id) == ("isolated", "unreachable", MAIN_PEER)


async def test_groups_that_were_not_taken_are_not_published(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0)])
    setting.swarm.takes = False
    (record,) = await setting.run()
    assert record.published == []


async def test_a_failed_round_is_counted_and_passed_over(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(7, 0), ChainRound(8, 0)])
    setting.learner.error = MemoryError("too long")
    next_round = setting.clock.next

    async def heal() -> ChainRound | None:
        if setting.board.history(1):
            setting.learner.error = None
        return await next_round()

    setting.clock.next = heal
    failed, good = await setting.run()
    assert (failed.result, failed.training_round) == ("MemoryError", 0)
    assert (good.result, good.training_round) == ("ok", 1)
    assert setting.board.status.rounds == {"MemoryError": 1, "ok": 1}
    assert setting.ledger.credited_round("c0ffee") == 1
    assert setting.saved == [1]


async def test_five_failed_rounds_in_a_row_end_the_process(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(number, 0) for number in range(9)])
    setting.learner.error = RuntimeError("no kernel")
    with pytest.raises(FatalError, match="5 rounds failed in a row, the last with: no kernel"):
        await setting.run()
    assert "no kernel" in setting.board.status.last_error


async def test_an_unforeseen_error_is_shown_whole_and_costs_one_round(
    directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    setting = Setting(directory, [ChainRound(7, 0)])
    setting.learner.error = AttributeError("a bug")
    with caplog.at_level("ERROR", logger="swarm"):
        (record,) = await setting.run()
    assert record.result == "AttributeError"
    assert setting.board.status.rounds == {"AttributeError": 1}


async def test_with_genrl_peers_the_chains_round_is_the_key(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(41, 0), None], dht_compat="genrl")
    await setting.run()
    assert setting.swarm.genrl_rounds == [41, None]
    ((number, record),) = setting.swarm.genrl.items()
    groups, _ = decode_groups(record)
    assert number == 41
    assert [group.seed for group in groups] == [1], "what teaches nothing is not shared"


async def test_without_it_nothing_goes_under_a_round_key(directory: Path) -> None:
    setting = Setting(directory, [ChainRound(41, 0)])
    await setting.run()
    assert (setting.swarm.genrl, setting.swarm.genrl_rounds) == ({}, [None])
