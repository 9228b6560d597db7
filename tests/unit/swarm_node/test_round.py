"""The computing half of a round on a tiny random model: reproducible rollouts, one step on own and external groups."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from swarm_core.records import RolloutGroup
from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.policy import Policy
from swarm_node.round import Learner, Rollout, mean_reward
from swarm_node.sampler import ScoredGroup
from swarm_node.tasks import TaskSet
from swarm_node.taskset_file import DatasetSpec, TaskSetFile
from swarm_node.tokens import Prompts
from swarm_node.train import Trainer

TASKS = TaskSet("sums", TaskSetFile("sums", (DatasetSpec("chain_sum", 1.0, {"max_terms": 2, "max_digits": 1}),)))
HYPER = Hyperparameters(num_questions=2, num_generations=3, max_completion_length=6, learning_rate=1e-3)


@pytest.fixture
def make_learner(make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice) -> Callable[..., Learner]:
    """A learner on a fresh random model."""

    def make(seed: int = 1, hyper: Hyperparameters = HYPER) -> Learner:
        model = make_model()
        policy = Policy(model, tokenizer, cpu, hyper)
        return Learner(TASKS, policy, Trainer(model, hyper, cpu), Prompts(tokenizer), hyper, seed)

    return make


def texts(rollouts: list[Rollout]) -> list[list[str]]:
    return [[completion.text for completion in rollout.completions] for rollout in rollouts]


def differing(rollouts: list[Rollout]) -> list[Rollout]:
    """The rollouts with rewards that carry signal; a random model never earns any by itself."""
    return [Rollout(r.task, r.prompt_ids, r.completions, [1.0, 0.0, 0.5]) for r in rollouts]


def weights(learner: Learner) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in learner.trainer._model.parameters()]


def changed(learner: Learner, before: list[torch.Tensor]) -> bool:
    return any(not torch.equal(old, new) for old, new in zip(before, weights(learner), strict=True))


def test_rollouts_have_the_shape_of_the_settings(make_learner: Callable[..., Learner]) -> None:
    rollouts = make_learner().roll_out("5", "QmA", 0)
    assert [len(rollout.completions) for rollout in rollouts] == [3, 3]
    for rollout in rollouts:
        assert len(rollout.rewards) == 3
        assert not rollout.task.is_held_out
        assert all(1 <= len(completion.ids) <= 6 for completion in rollout.completions)
        assert all(len(completion.ids) == len(completion.logprobs) for completion in rollout.completions)


def test_rollouts_are_determined_by_swarm_peer_round_seed_and_weights(make_learner: Callable[..., Learner]) -> None:
    first, again, other = make_learner(), make_learner(), make_learner(seed=2)
    base = first.roll_out("5", "QmA", 3)
    assert texts(base) == texts(again.roll_out("5", "QmA", 3))
    assert texts(base) != texts(first.roll_out("5", "QmA", 4))
    assert texts(base) != texts(first.roll_out("5", "QmB", 3))
    assert texts(base) != texts(other.roll_out("5", "QmA", 3))
    questions = [[rollout.task.seed for rollout in rollouts] for rollouts in (base, other.roll_out("5", "QmA", 3))]
    assert questions[0] == questions[1]  # the node's seed changes the sampling, not the questions


def test_what_is_published_is_a_valid_record(make_learner: Callable[..., Learner]) -> None:
    for rollout in differing(make_learner().roll_out("5", "QmA", 0)):
        group = rollout.as_group()
        assert RolloutGroup.decode(group.encode()) == group
        assert TASKS.verify(group.task, group.seed, group.question, group.answer) == rollout.task
        assert group.rewards == (1.0, 0.0, 0.5)


def test_what_is_published_tells_how_it_was_sampled(make_learner: Callable[..., Learner]) -> None:
    learner = make_learner()
    for rollout in differing(learner.roll_out("5", "QmA", 0)):
        group = learner.publishable(rollout)
        assert RolloutGroup.decode(group.encode()) == group
        assert group.plain() == rollout.as_group()
        assert group.logprobs == tuple(tuple(completion.logprobs) for completion in rollout.completions)
        assert group.tokenizer == learner.prompts.fingerprint
        assert dict(group.metadata) == {"temperature": learner.hyper.temperature}
        broken = replace(rollout, completions=[replace(c, logprobs=[math.nan]) for c in rollout.completions])
        assert learner.publishable(broken) == rollout.as_group()


def test_informative() -> None:
    task = TASKS.make("chain_sum", 0)
    assert Rollout(task, [], [], [0.0, 1.0]).informative
    assert not Rollout(task, [], [], [1.0, 1.0]).informative


def test_one_step_on_own_and_external_groups(make_learner: Callable[..., Learner]) -> None:
    learner = make_learner()
    own = differing(learner.roll_out("5", "QmA", 0))
    task = TASKS.make("chain_sum", 11)
    external = [ScoredGroup("QmB", "aa", task, ("<answer>4</answer>", "no", ""), (1.0, 0.0, 0.0))]
    before = weights(learner)
    metrics = learner.train(own, external)
    assert (metrics.groups_used, metrics.groups_skipped, metrics.external_used) == (3, 0, 1)
    assert (metrics.optimizer_steps, learner.trainer.optimizer_steps) == (1, 1)
    assert changed(learner, before)


def test_external_groups_alone_train(make_learner: Callable[..., Learner]) -> None:
    learner = make_learner()
    task = TASKS.make("chain_sum", 11)
    before = weights(learner)
    metrics = learner.train([], [ScoredGroup("QmB", "aa", task, ("4", "5"), (1.0, 0.0))])
    assert (metrics.groups_used, metrics.external_used) == (1, 1)
    assert changed(learner, before)


def test_groups_without_signal_change_nothing(make_learner: Callable[..., Learner]) -> None:
    learner = make_learner()
    own = [Rollout(r.task, r.prompt_ids, r.completions, [0.5] * 3) for r in learner.roll_out("5", "QmA", 0)]
    before = weights(learner)
    metrics = learner.train(own, [])
    assert (metrics.groups_used, metrics.groups_skipped, learner.trainer.optimizer_steps) == (0, 2, 0)
    assert not changed(learner, before)


def test_the_filter_of_the_controls_replaces_rewards(make_learner: Callable[..., Learner]) -> None:
    learner = make_learner()
    own = differing(learner.roll_out("5", "QmA", 0))
    before = weights(learner)
    assert learner.train(own, [], lambda rewards: [0.0] * len(rewards)).groups_used == 0
    assert not changed(learner, before)


def test_evaluation_is_reproducible_and_trains_nothing(make_learner: Callable[..., Learner]) -> None:
    learner = make_learner()
    before = weights(learner)
    for evaluate in (learner.evaluate, learner.evaluate_train):
        for greedy in (False, True):
            value = evaluate(3, 5, greedy=greedy, generations=2)
            assert value == evaluate(3, 5, greedy=greedy, generations=2)
            assert 0.0 <= value <= 1.0
    assert not changed(learner, before)


def test_evaluation_asks_held_out_questions_only(
    make_learner: Callable[..., Learner], monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = make_learner()
    asked: list[str] = []
    encode = learner.prompts.encode
    monkeypatch.setattr(learner.prompts, "encode", lambda question: asked.append(question) or encode(question))
    learner.evaluate(4, 5)
    held_out, asked[:] = list(asked), []
    learner.evaluate_train(4, 5)
    assert len(held_out) == len(asked) == 4
    assert [task.question for task in TASKS.held_out(4, 5)] == held_out
    assert not set(held_out) & set(asked)


def test_mean_reward() -> None:
    assert mean_reward([]) == 0.0
    assert mean_reward([[1.0, 0.0], [1.0, 1.0, 1.0, 1.0]]) == pytest.approx(5 / 6)  # over completions, not groups


@pytest.mark.parametrize("cut", [False, True])
def test_a_senders_logprobs_are_used_with_the_same_tokenizer(cut: bool, make_learner: Callable[..., Learner]) -> None:
    learner = make_learner()
    texts_, ended = ("yes", "no"), 0 if cut else 1
    rows = tuple(tuple(-0.1 * n for n in range(1, len(text) + ended + 1)) for text in texts_)
    task = TASKS.sample("5", "QmB", 0, 1)[0]
    sent = ScoredGroup("QmB", "aa", task, texts_, (1.0, 0.0), rows, learner.prompts.fingerprint)
    group = learner._external(sent, [0.7, -0.7])
    assert group.old_logprobs == [list(row) for row in rows]
    assert [len(ids) for ids in group.completion_ids] == [3 + ended, 2 + ended]


@pytest.mark.parametrize("change", [{"tokenizer": "f" * 64}, {"logprobs": ((-0.1,) * 9, (-0.1,) * 3)}])
def test_other_tokens_than_ours_have_no_ratio(change: dict[str, Any], make_learner: Callable[..., Learner]) -> None:
    learner = make_learner()
    task = TASKS.sample("5", "QmB", 0, 1)[0]
    rows = ((-0.1,) * 4, (-0.1,) * 3)
    sent = ScoredGroup("QmB", "aa", task, ("yes", "no"), (1.0, 0.0), rows, learner.prompts.fingerprint)
    group = learner._external(replace(sent, **change), [0.7, -0.7])
    assert group.old_logprobs is None
    assert [len(ids) for ids in group.completion_ids] == [4, 3]
