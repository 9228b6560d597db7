"""The TRL backend trains as the native one: the same groups give the same weights, for every loss type and group shape.

Real GRPOTrainer on a small random model, through `rollout_func`, `reward_funcs` and a callback.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from swarm_core.errors import ConfigError
from swarm_node.advantages import group_advantages, standard_deviation
from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.packing import TrainingGroup
from swarm_node.train import Trainer
from swarm_node.train_state import capture, restore
from swarm_node.trl_backend import TrlFailed, TrlTrainer, read_overrides
from swarm_node.trl_rows import arrange

Make = Callable[..., TrlTrainer]


def hyperparameters(**changes: Any) -> Hyperparameters:
    chosen = {"num_questions": 2, "num_generations": 4, "num_external": 2, "max_completion_length": 8}
    return Hyperparameters.model_validate({**chosen, "learning_rate": 1e-3, **changes})


def group(seed: int, size: int = 4, *, informative: bool = True, external: bool = False) -> TrainingGroup:
    rng = random.Random(seed)
    rewards = [float(rng.random() < 0.5) for _ in range(size)] if informative else [1.0] * size
    if informative:
        rewards[0], rewards[1] = 1.0, 0.0
    completions = [[rng.randrange(60, 120) for _ in range(rng.randint(1, 7))] + [260] for _ in range(size)]
    advantages = group_advantages(rewards, standard_deviation(rewards))
    prompt = [rng.randrange(60, 120) for _ in range(rng.randint(3, 9))]
    return TrainingGroup(prompt, completions, advantages, external=external)


@pytest.fixture
def trl(make_model: Any, tokenizer: Any, cpu: DeviceChoice) -> Iterator[Make]:
    """Makes TRL backends that end with the test."""
    made: list[TrlTrainer] = []

    def make(hyper: Hyperparameters, overrides: dict[str, Any] | None = None) -> TrlTrainer:
        made.append(TrlTrainer(make_model(), tokenizer, hyper, cpu, overrides))
        return made[-1]

    yield make
    for trainer in made:
        trainer.close()


def difference(first: Any, second: Any) -> float:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return max(float((a - b).detach().abs().max()) for a, b in pairs)


ROUNDS = {
    "full": [group(1), group(2), group(3, external=True), group(4, external=True)],
    "one without advantage": [group(5), group(6, informative=False), group(7, external=True)],
    "alone": [group(8)],
    "others' group sizes": [group(9), group(10), group(11, size=2, external=True), group(12, size=3, external=True)],
    "larger group": [group(13), group(14, size=6, external=True)],
}


@pytest.mark.parametrize("loss_type", ["bnpo", "grpo", "dr_grpo", "dapo"])
def test_the_same_groups_give_the_same_weights(
    trl: Make,
    make_model: Any,
    cpu: DeviceChoice,
    loss_type: str,
) -> None:
    # a small step: Adam divides by the gradient's size, so rounding grows where a gradient is nearly zero
    hyper = hyperparameters(loss_type=loss_type, adam_epsilon=1e-3)
    native, other = Trainer(make_model(), hyper, cpu), trl(hyper)
    begin = make_model()
    for name, groups in ROUNDS.items():
        ours, theirs = native.step(groups), other.step(groups)
        moved = difference(begin, native.model)
        assert difference(native.model, other.model) < 1e-3 * moved, name
        assert theirs.grad_norm == pytest.approx(ours.grad_norm, rel=1e-3), name
        assert (theirs.groups_used, theirs.groups_skipped, theirs.external_used, theirs.tokens) == (
            ours.groups_used, ours.groups_skipped, ours.external_used, ours.tokens,
        )  # fmt: skip
    assert native.optimizer_steps == other.optimizer_steps == len(ROUNDS)


def test_a_round_without_advantages_moves_nothing(trl: Make, make_model: Any) -> None:
    made = trl(hyperparameters())
    metrics = made.step([group(1, informative=False)])
    assert (metrics.optimizer_steps, metrics.groups_skipped, made.optimizer_steps) == (0, 1, 0)
    assert difference(make_model(), made.model) == 0.0


def test_either_backend_resumes_from_the_others_checkpoint(
    trl: Make,
    make_model: Any,
    cpu: DeviceChoice,
) -> None:
    hyper = hyperparameters(adam_epsilon=1e-3)
    first = trl(hyper)
    first.step(ROUNDS["full"])
    state = capture(first, config_hash="c0ffee00", round_number=0)
    state = copy.deepcopy(state)  # its tensors are the trainer's own
    native, again = Trainer(make_model(seed=3), hyper, cpu), trl(hyper)
    restore(copy.deepcopy(state), native)
    restore(state, again)
    for trainer in (first, native, again):
        trainer.step(ROUNDS["alone"])
    assert native.optimizer_steps == again.optimizer_steps == 2
    moved = max(float((first.model.get_parameter(n) - t).detach().abs().max()) for n, t in state.weights.items())
    for resumed in (again, native):  # TRL shuffles rows, so sums differ in their last bits
        assert difference(first.model, resumed.model) < 1e-3 * moved


def test_inner_steps(trl: Make) -> None:
    made = trl(hyperparameters(num_iterations=3))
    assert made.step(ROUNDS["full"]).optimizer_steps == 3
    assert made.step(ROUNDS["alone"]).optimizer_steps == 3
    assert made.optimizer_steps == 6


def test_a_loop_that_ended_fails_the_round(trl: Make) -> None:
    made = trl(hyperparameters())
    bad = group(1)
    bad.completion_ids[0] = [999_999]  # no such token: the forward pass raises
    with pytest.raises(TrlFailed, match="ended"):
        made.step([bad])
    with pytest.raises(TrlFailed):
        made.step(ROUNDS["full"])


def test_out_of_memory_goes_on_in_smaller_batches_with_the_same_result(
    trl: Make, make_model: Any, cpu: DeviceChoice
) -> None:
    hyper = hyperparameters(loss_type="grpo", adam_epsilon=1e-3)
    made, native = trl(hyper), Trainer(make_model(), hyper, cpu)
    before = copy.deepcopy(made.model)
    sizes = []

    def room_for_four(_module: Any, _args: Any, arguments: dict[str, Any]) -> None:
        sizes.append(len(arguments["input_ids"]))
        if sizes[-1] > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    made.model.register_forward_pre_hook(room_for_four, with_kwargs=True)
    with pytest.raises(torch.OutOfMemoryError):
        made.step(ROUNDS["full"])
    assert (made.optimizer_steps, difference(made.model, before)) == (0, 0.0)
    made.micro_batch_tokens = 144  # four rows of at most 8 + 64 tokens, twice
    sizes.clear()
    for _ in range(3):
        made.model.eval()  # as generation between two rounds does
        ours, theirs = native.step(ROUNDS["full"]), made.step(ROUNDS["full"])
        assert theirs.optimizer_steps == 1
        assert theirs.grad_norm == pytest.approx(ours.grad_norm, rel=1e-3)
        assert not made.model.training
    assert set(sizes) == {4}
    assert difference(made.model, native.model) < 1e-3 * difference(native.model, before)


def test_overrides(tmp_path: Path, trl: Make) -> None:
    path = tmp_path / "trl.yaml"
    path.write_text("loss_type: cispo\n")
    assert trl(hyperparameters(), read_overrides(str(path))).step(ROUNDS["full"]).optimizer_steps == 1
    with pytest.raises(ConfigError, match="TRL refuses"):
        trl(hyperparameters(), {"no_such_field": 1})
    path.write_text("max_steps: 3\n")
    with pytest.raises(ConfigError, match="max_steps"):
        read_overrides(str(path))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_overrides(str(tmp_path / "none"))
    assert read_overrides("") == {}


def test_every_block_sums_to_zero_and_completions_beyond_the_room_are_counted() -> None:
    groups = [group(1), group(2, size=9), group(3, size=2), group(4)]
    batch = arrange(groups, 4, 5, filler=0)
    assert len(batch.advantages) == len(batch.prompt_ids) == len(batch.env_mask) == 20
    for start in range(0, 20, 4):
        assert abs(sum(batch.advantages[start : start + 4])) < 1e-9
    assert (batch.real, batch.left_out) == (4 + 9 + 2, 4)
    assert all(len(mask) == len(ids) for mask, ids in zip(batch.env_mask, batch.completion_ids, strict=True))
