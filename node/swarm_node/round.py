"""The computing half of a round: roll out, score, train, evaluate. No network, no disk; the worker adds those.

The learning benchmark and the simulator call this class with the same arguments as the worker. Works with `tasks`,
`policy`, `rewards`, `advantages` and `train`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from swarm_core.errors import RecordError
from swarm_core.genrl_records import Question
from swarm_core.records import RolloutGroup
from swarm_node.advantages import batch_advantages, is_informative
from swarm_node.backend import Backend
from swarm_node.hyper import Hyperparameters
from swarm_node.policy import Completion, Policy
from swarm_node.rewards import score_group
from swarm_node.sampler import ScoredGroup
from swarm_node.tasks import Task, TaskSet
from swarm_node.tokens import Prompts
from swarm_node.train import StepMetrics, TrainingGroup

# the hook of the negative controls: what a group's rewards are replaced by before advantages are formed
RewardFilter = Callable[[Sequence[float]], Sequence[float]]


@dataclass(frozen=True)
class Rollout:
    """Our G completions of one question, with their rewards."""

    task: Task
    prompt_ids: list[int]
    completions: list[Completion]
    rewards: list[float]

    @property
    def informative(self) -> bool:
        return is_informative(self.rewards)

    def as_group(self) -> RolloutGroup:
        """What every peer can use of it: text and rewards."""
        texts = tuple(completion.text for completion in self.completions)
        return RolloutGroup(
            self.task.name, self.task.seed, self.task.question, self.task.answer, texts, tuple(self.rewards)
        )

    def as_sampled_group(self, tokenizer: str, temperature: float) -> RolloutGroup:
        """The same with what a peer of the same tokenizer needs to form ratios; plain if that is out of bounds."""
        plain = self.as_group()
        if not all(completion.whole for completion in self.completions):  # their text makes other tokens
            return plain
        rows = tuple(tuple(completion.logprobs) for completion in self.completions)
        sampled = replace(plain, metadata=(("temperature", temperature),), logprobs=rows, tokenizer=tokenizer)
        try:
            sampled.encode()
        except RecordError:
            return plain
        return sampled

    def as_question(self) -> Question:
        """The same for genuine genrl peers, with reasoning-gym's own metadata."""
        texts = [completion.text for completion in self.completions]
        return Question(
            self.task.question,
            self.task.answer,
            self.task.entry.get("metadata", {}),
            self.task.name,
            self.task.seed,
            texts,
        )


def mean_reward(groups: Sequence[Sequence[float]]) -> float:
    """Mean over all completions of all groups; 0 for none."""
    rewards = [reward for group in groups for reward in group]
    return sum(rewards) / len(rewards) if rewards else 0.0


class Learner:
    """One node's policy, optimiser and tasks. Calls are synchronous; make one at a time."""

    def __init__(
        self, tasks: TaskSet, policy: Policy, trainer: Backend, prompts: Prompts, hyper: Hyperparameters, seed: int
    ) -> None:
        self.tasks = tasks
        self.policy = policy
        self.trainer = trainer
        self.prompts = prompts
        self.hyper = hyper
        self.num_questions = hyper.num_questions  # fewer while memory is short
        self._seed = seed

    def roll_out(self, swarm: str, peer_id: str, training_round: int) -> list[Rollout]:
        """I questions with G scored completions each, determined by the arguments, the seed and the weights."""
        tasks = self.tasks.sample(swarm, peer_id, training_round, self.num_questions)
        generator = self._generator("train", peer_id, training_round)
        return self._roll_out(tasks, self.hyper.num_generations, generator)

    def publishable(self, rollout: Rollout) -> RolloutGroup:
        """What other peers are offered of `rollout`."""
        return rollout.as_sampled_group(self.prompts.fingerprint, self.hyper.temperature)

    def train(
        self, own: Sequence[Rollout], external: Sequence[ScoredGroup], reward_filter: RewardFilter | None = None
    ) -> StepMetrics:
        """One GRPO step on own and external groups together; external text is encoded by our own tokenizer."""
        filtered = reward_filter or (lambda rewards: rewards)
        rewards = [filtered(rollout.rewards) for rollout in own] + [filtered(group.rewards) for group in external]
        advantages = batch_advantages(rewards, self.hyper.scale_rewards)
        groups = [
            TrainingGroup(
                prompt_ids=rollout.prompt_ids,
                completion_ids=[completion.ids for completion in rollout.completions],
                old_logprobs=[completion.logprobs for completion in rollout.completions],
                advantages=values,
                external=False,
            )
            for rollout, values in zip(own, advantages, strict=False)
        ]
        groups += [
            self._external(group, values) for group, values in zip(external, advantages[len(own) :], strict=True)
        ]
        metrics = self.trainer.step(groups)
        for rollout in own:  # after the step: a round that is done again asks the same questions
            self.tasks.curriculum.observe(rollout.task.dataset, rollout.task.level, rollout.rewards)
        return metrics

    def evaluate(self, questions: int, seed: int, *, greedy: bool = False, generations: int = 4) -> float:
        """Mean reward on held-out questions, sampled (`generations` each) or greedy (one each)."""
        tasks = self.tasks.held_out(questions, seed)
        return self._evaluate(tasks, seed, greedy, generations)

    def evaluate_train(self, questions: int, seed: int, *, greedy: bool = False, generations: int = 4) -> float:
        """The same on questions of the training split."""
        tasks = self.tasks.sample("evaluate", "", seed, questions)
        return self._evaluate(tasks, seed, greedy, generations)

    def _evaluate(self, tasks: list[Task], seed: int, greedy: bool, generations: int) -> float:
        generator = self._generator("evaluate", "", seed)
        rollouts = self._roll_out(tasks, 1 if greedy else generations, generator, greedy=greedy)
        return mean_reward([rollout.rewards for rollout in rollouts])

    def _roll_out(
        self, tasks: list[Task], generations: int, generator: torch.Generator, *, greedy: bool = False
    ) -> list[Rollout]:
        prompts = [self.prompts.encode(task.question) for task in tasks]
        completions = self.policy.generate(prompts, generations, generator, greedy=greedy)
        return [
            Rollout(task, prompt, group, score_group(task, [completion.text for completion in group]))
            for task, prompt, group in zip(tasks, prompts, completions, strict=True)
        ]

    def _external(self, group: ScoredGroup, advantages: list[float]) -> TrainingGroup:
        """The group in our tokens, with its sender's log-probabilities when tokenizer and every length are ours."""
        limit = self.hyper.max_completion_length
        claimed = group.logprobs if group.tokenizer == self.prompts.fingerprint else None
        ids = [self.prompts.encode_completion(text, limit) for text in group.completions]
        if claimed is not None:
            # a completion that was cut off at the sender's limit has no end token
            finished = [len(row) != len(own) - 1 for row, own in zip(claimed, ids, strict=True)]
            ids = [
                self.prompts.encode_completion(text, limit, ended)
                for text, ended in zip(group.completions, finished, strict=True)
            ]
            if list(map(len, claimed)) != list(map(len, ids)):
                claimed = None
        return TrainingGroup(
            prompt_ids=self.prompts.encode(group.task.question),
            completion_ids=ids,
            old_logprobs=None if claimed is None else [list(row) for row in claimed],
            advantages=advantages,
            external=True,
        )

    def _generator(self, purpose: str, peer_id: str, number: int) -> torch.Generator:
        digest = hashlib.sha256(f"{purpose}\x1f{self._seed}\x1f{peer_id}\x1f{number}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)
