"""The worker: one node's life, round after round. Read `Worker.round` top to bottom: it is SAPO (arXiv 2509.08721).

Collaborators, each asked and never asking back: `rounds` (when), `round.Learner` (computing), `exchange` (other peers),
`sampler` (which of their groups), `ledger` and `report` (rewards), `checkpoint` (progress), `board` (what is told).
The worker holds no key. Whatever fails inside a round ends that round with a counted reason, never the process;
many failed rounds in a row do.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from swarm_chain.client import ChainClient
from swarm_core.errors import FatalError, SwarmError
from swarm_core.genrl_records import encode_questions
from swarm_core.identity import is_peer_id
from swarm_core.log import get_logger
from swarm_core.names import peer_name
from swarm_core.records import GroupBatch, fitting
from swarm_core.runner import Service
from swarm_core.status import DhtStatus, RoundRecord, UsedGroup
from swarm_node import heap
from swarm_node.board import Board
from swarm_node.exchange import Collected, Exchange
from swarm_node.judging.client import Asking
from swarm_node.judging.host_work import HostWork
from swarm_node.ledger import Ledger
from swarm_node.measures import note_rollouts, note_training
from swarm_node.memory import is_out_of_memory, release
from swarm_node.memory_plan import MemoryPlan
from swarm_node.progress import Progress
from swarm_node.report import Reporter
from swarm_node.rewards import has_format
from swarm_node.round import Learner, Rollout, mean_reward
from swarm_node.rounds import CHAIN_TROUBLE, ChainRound, RoundClock
from swarm_node.sampler import ScoredGroup, draw, winner
from swarm_node.screening import Screening
from swarm_node.settings import NodeSettings

_FAILED_ROUNDS_IN_A_ROW = 5
_EVALUATED_QUESTIONS = 32
_IDENTITY_SECONDS = 20.0
_NEWS_SECONDS = 1.0  # how long a peer may hold its answer until it has groups that we have not seen
_EXPECTED = (SwarmError, OSError, RuntimeError, ValueError, MemoryError)
P = ParamSpec("P")
T = TypeVar("T")
log = get_logger("worker")


class Worker:
    """Runs rounds until the service stops."""

    def __init__(
        self,
        settings: NodeSettings,
        service: Service,
        board: Board,
        learner: Learner,
        progress: Progress,
        exchange: Exchange,
        chain: ChainClient,
        clock: RoundClock,
        ledger: Ledger,
        reporter: Reporter,
        screening: Screening | None = None,
    ) -> None:
        self.settings = settings
        self.service = service
        self.board = board
        self.learner = learner
        self.progress = progress
        self.exchange = exchange
        self.chain = chain
        self.clock = clock
        self.ledger = ledger
        self.reporter = reporter
        self.host_work: HostWork | None = None
        self.memory: MemoryPlan | None = None
        self.keeps_pages = False  # free memory stays the process's from round to round
        self.parameters = 0  # and operations a second at best, for the estimate of the utilisation
        self.peak_flops: float | None = None
        self.screening = screening or Screening(learner.tasks, exchange)
        self.peer_id = ""
        self.seen = progress.seen
        self._swarm = f"{settings.chain_id}"
        self._failed_in_a_row = 0
        self.follow_choices: Callable[[], Awaitable[bool]] | None = None
        # one thread: OpenMP's team and the allocator's arena belong to the thread that computes
        self._computing = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._nothing_new = False  # the last round found other peers' groups and had seen them all

    async def run(self) -> None:
        """Rounds until asked to stop. Raises FatalError when too many fail in a row."""
        await self._wait_for_identity()
        while not self.service.stop.is_set():
            with self.board.phase("waiting"):
                if self.follow_choices is not None and await self.follow_choices():
                    break  # between two rounds: the process starts again with what the owner chose
                chain_round = await self.clock.next()
            if self.service.stop.is_set():
                break
            await self._guarded(chain_round)
        self.board.set(phase="stopped")

    async def round(self, now: ChainRound | None, record: RoundRecord) -> None:
        """One round; `now` is None while the chain cannot be read. Fills `record` as it goes."""
        number, learner = record.training_round, self.learner

        with self.board.phase("generate"):  # I questions, G completions each, scored by us
            own = await self._compute(learner.roll_out, self._swarm, self.peer_id, number)
        record.own_reward = mean_reward([rollout.rewards for rollout in own])
        record.format_share = mean_reward([[has_format(c.text) for c in rollout.completions] for rollout in own])
        note_rollouts(record, own, self.board.seconds("generate"))

        with self.board.phase("exchange"):  # offer what can teach, ask random peers for theirs
            await self._publish(own, number, record)
            genrl_round = await self._share_with_genrl(own, now)
            collected = await self._collect(genrl_round)

        with self.board.phase("score"):  # re-score with our own verifier, drop zero advantage, draw J uniformly
            candidates, dropped = await self.screening.verify(collected.groups, self.peer_id, self.seen)
            rng = random.Random(f"{self.settings.seed}/{self.peer_id}/{number}")
            external = draw(candidates, learner.hyper.num_external, rng)
        record.external = [UsedGroup(peer=group.peer_id, sha256=group.sha256) for group in external]
        record.external_rejected = {**collected.rejected, **dropped}
        record.batch_reward = mean_reward([*(rollout.rewards for rollout in own), *(g.rewards for g in external)])

        with self.board.phase("train"):  # GRPO on both kinds of groups
            metrics = await self._compute(learner.train, own, external)
        self.seen.add([group.sha256 for group in external])
        self._nothing_new = bool(collected.groups) and not external
        rewards = [*(rollout.rewards for rollout in own), *(group.rewards for group in external)]
        note_training(record, metrics, rewards, learner.hyper.scale_rewards, self.parameters, self.peak_flops)
        record.optimizer_step = learner.trainer.optimizer_steps

        every = self.settings.eval_steps
        if every and number % every == 0:
            with self.board.phase("evaluate"):
                record.held_out_reward = await self._compute(learner.evaluate, _EVALUATED_QUESTIONS, number)

        # the ledger first: it credits a training round once, so a crash before the checkpoint loses and doubles nothing
        self.ledger.credit(self.progress.config_hash, number, sum(sum(rollout.rewards) for rollout in own))
        with self.board.phase("checkpoint"):
            if await self._compute(self.progress.finished, number, record.held_out_reward):
                record.weights_sha256 = self.progress.saved_sha256

        with self.board.phase("submit"):
            await self._submit(now, record.own_reward, external)

        if self.host_work is not None:
            with self.board.phase("evaluate"):  # the judge's question, a bet on the market
                await self._for_the_host(self.host_work, now, number)

    async def _guarded(self, now: ChainRound | None) -> None:
        number = self.progress.training_round
        record = RoundRecord(
            training_round=number, chain_round=now.round if now else None, finished_at=0.0, result="failed"
        )
        try:
            with contextlib.nullcontext() if self.memory is None else self.memory.watching():
                await self.round(now, record)
            record.result = "ok"
            self._failed_in_a_row = 0
        except Exception as error:  # data of strangers goes through here: a bad round never ends the process
            if is_out_of_memory(error) and self._step_down(error):
                record.result = "out_of_memory"  # the same round again, with less at once
                self._end(record)
                return
            self._failed_in_a_row += 1
            record.result = type(error).__name__
            if isinstance(error, _EXPECTED):
                log.error("round failed", round=number, reason=record.result, error=str(error))
            else:
                log.crash("round failed for an unforeseen reason", error, round=number)
            self.board.set(last_error=f"{record.result}: {error}"[:500])
            self.progress.skip(number)
            if self._failed_in_a_row >= _FAILED_ROUNDS_IN_A_ROW:
                raise FatalError(
                    f"{self._failed_in_a_row} rounds failed in a row, the last with: {error}",
                    "the lines above name the cause; the checkpoint is kept",
                ) from error
        self._end(record)

    def _end(self, record: RoundRecord) -> None:
        record.finished_at = time.time()
        record.seconds = self.board.take_seconds()
        if not self.keeps_pages:
            heap.trim()
        self.board.finish(record)
        self._tell(record)

    def _step_down(self, error: Exception) -> bool:
        if self.memory is None or not self.memory.step_down(str(error).partition("\n")[0][:200]):
            return False
        release()
        self.adopt(self.memory)
        return True

    def adopt(self, memory: MemoryPlan) -> None:
        """Let rounds be as large as `memory` says, and show it."""
        self.memory = memory
        self.learner.num_questions, self.learner.trainer.micro_batch_tokens = memory.groups, memory.micro_batch_tokens
        self.board.set(
            micro_batch_tokens=memory.micro_batch_tokens, memory_steps_down=memory.steps, memory_note=memory.told
        )

    async def _compute(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run torch or scoring work beside the event loop, so that sockets answer meanwhile."""
        return await asyncio.get_running_loop().run_in_executor(self._computing, partial(work, *args, **kwargs))

    async def _publish(self, own: list[Rollout], number: int, record: RoundRecord) -> None:
        groups = fitting(self.learner.publishable(rollout) for rollout in own if rollout.informative)
        if not groups:
            return
        if await self.exchange.publish(GroupBatch(number, time.time(), groups)):
            record.published = [group.digest() for group in groups]
            self.screening.note_own(self.peer_id, groups)
            self.seen.add(record.published)  # a copy of ours under another name teaches and wins nothing

    async def _share_with_genrl(self, own: list[Rollout], now: ChainRound | None) -> int | None:
        """Publish under genrl's key of the chain's round, where that is wanted; the round to read from."""
        if self.settings.dht_compat != "genrl" or now is None:
            return None
        if questions := [rollout.as_question() for rollout in own if rollout.informative]:
            await self.exchange.publish_genrl(now.round, encode_questions(questions))
        return now.round

    async def _collect(self, genrl_round: int | None = None) -> Collected:
        hyper = self.learner.hyper
        if hyper.num_external == 0:
            return Collected("off")
        status = await self.exchange.status()
        if status is None:
            self.board.set(dht_state="unreachable")
            self.board.state("isolated", "the DHT daemon does not answer, training alone")
            return Collected("unreachable")
        self._set_peer(status.peer_id)
        # a pool several times J, so that the draw is uniform over groups and not over whoever answered first
        collected = await self.exchange.collect(
            hyper.num_external * hyper.num_questions,
            self.settings.exchange_seconds,
            self.settings.max_age_seconds,
            _NEWS_SECONDS if self._nothing_new else 0.0,
            genrl_round,
        )
        self._look_at_swarm(status, collected)
        return collected

    def _look_at_swarm(self, status: DhtStatus, collected: Collected) -> None:
        self.board.set(dht_state=status.state)
        alone = status.state != "ready" or status.peers == 0
        if alone and not collected.groups:
            self.board.state("isolated", f"no other peer reachable (daemon: {status.state}), training alone")
        else:
            self.board.state("training", "other peers reachable")

    async def _submit(self, now: ChainRound | None, own_mean: float, used: list[ScoredGroup]) -> None:
        if now is not None and self.reporter.due():
            chosen = winner(self.peer_id, own_mean, used, await self._registered({group.peer_id for group in used}))
            try:
                self.reporter.make(now.round, now.stage, [chosen], self.peer_id)
            except OSError as error:
                log.error("report not written, its reward stays pending", error=str(error))
        await self.reporter.deliver()

    async def _for_the_host(self, work: HostWork, now: ChainRound | None, number: int) -> None:
        steps, model = self.settings.judge_steps, self.board.status.model
        ask = now is not None and steps > 0 and number % steps == 0
        await work.step(self._compute, Asking(self.peer_id, now.round, model) if ask and now is not None else None)
        self.board.set(judge=work.judge_status(), market=work.market_status())

    async def _registered(self, peers: set[str]) -> set[str]:
        """Which of `peers` the contract knows; a vote for anybody else would be refused."""
        asked = sorted(peers)
        if not asked:
            return set()
        try:
            owners = await self.chain.owners(asked)
        except CHAIN_TROUBLE as error:
            log.debug("owners not read", error=str(error))
            return set()
        return {peer for peer, owner in zip(asked, owners, strict=True) if owner is not None}

    async def _wait_for_identity(self) -> None:
        """The daemon owns the peer key. A node that never had an id waits for it: questions and rewards hang on it."""
        end, told = time.monotonic() + _IDENTITY_SECONDS, False
        while not self.service.stop.is_set() and not self.peer_id:
            status = await self.exchange.status()
            if status is not None:
                self._set_peer(status.peer_id)
            elif time.monotonic() > end and self.ledger.peer_id:
                log.warning("the DHT daemon does not answer, training starts alone", seconds=_IDENTITY_SECONDS)
                self._set_peer(self.ledger.peer_id)
            else:
                if time.monotonic() > end and not told:
                    told = True
                    log.warning("waiting for the DHT daemon, which makes the peer key; look at the lines of swarm-dht")
                    self.board.state("isolated", "no DHT daemon and no peer id yet")
                await self.service.sleep(1.0)

    def _set_peer(self, peer_id: str) -> None:
        if peer_id != self.peer_id and is_peer_id(peer_id):
            log.info("this peer", peer_id=peer_id, name=peer_name(peer_id))
            self.peer_id = peer_id
            self.ledger.identify(peer_id)
            self.board.set(peer_id=peer_id, peer_name=peer_name(peer_id))

    def _tell(self, record: RoundRecord) -> None:
        self.board.set(
            training_round=record.training_round,
            chain_round=record.chain_round,
            round_current=self.clock.current,
            rounds_behind=self.clock.behind,
            chain_reachable=self.clock.reachable,
            reward_pending=self.ledger.pending,
            reward_handed_over=self.ledger.handed_over,
            login_reachable=self.reporter.reachable,
            checkpoint_step=self.progress.saved_step,
        )
