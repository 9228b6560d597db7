"""Curriculum, format reward and environments of one's own: levels follow rewards, peers recompute questions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from swarm_core.errors import ConfigError
from swarm_node.curriculum import Curriculum
from swarm_node.environment import Question
from swarm_node.rewards import has_format, score_group
from swarm_node.tasks import TaskSet
from swarm_node.taskset_file import CurriculumSpec, DatasetSpec

LEVELS = "datasets: [{name: gcd, params: {max_value: 20}, levels: [{max_value: 100}, {max_value: 900}]}]"


def load(tmp_path: Path, text: str, *environments: Any) -> TaskSet:
    path = tmp_path / "set.yaml"
    path.write_text(text)
    return TaskSet.load(str(path), environments)


def test_levels_rise_and_fall_with_the_reward() -> None:
    made = Curriculum([DatasetSpec("gcd", 1.0, {}, ({}, {}))], CurriculumSpec(promote=0.8, demote=0.2, window=4))
    made.observe("gcd", 0, [1.0, 1.0, 1.0])
    assert made.level("gcd") == 0  # not enough seen
    made.observe("gcd", 0, [0.2])
    assert made.level("gcd") == 1  # 0.8 reaches it
    made.observe("gcd", 0, [0.0] * 4)  # of the level before: tells nothing
    made.observe("other", 0, [0.0] * 4)
    assert made.level("gcd") == 1
    made.observe("gcd", 1, [0.2] * 4)
    assert made.level("gcd") == 0
    made.observe("gcd", 0, [0.0] * 8)
    assert made.level("gcd") == 0  # there is nothing below
    for level in (0, 1, 2, 2):
        made.observe("gcd", level, [1.0] * 4)
    assert made.level("gcd") == 2  # and nothing above


def test_without_a_curriculum_nothing_changes() -> None:
    made = Curriculum([DatasetSpec("gcd", 1.0, {}, ({},))], None)
    made.observe("gcd", 0, [1.0] * 1000)
    assert made.level("gcd") == 0


def test_a_restored_curriculum_goes_on_alike() -> None:
    datasets, spec = [DatasetSpec("gcd", 1.0, {}, ({}, {}))], CurriculumSpec(window=4)
    first, second = Curriculum(datasets, spec), Curriculum(datasets, spec)
    first.observe("gcd", 0, [1.0] * 4)
    first.observe("gcd", 1, [1.0] * 3)
    second.restore(json.loads(json.dumps(first.state())))
    for made in (first, second):
        made.observe("gcd", 1, [1.0])
    assert first.state() == second.state()
    assert second.level("gcd") == 2
    with pytest.raises(ValueError, match="does not have"):
        second.restore({"levels": {"gcd": 3}, "rewards": {"gcd": []}})


def test_a_level_is_part_of_the_name_and_recomputed_by_peers(tmp_path: Path) -> None:
    ours, theirs = load(tmp_path, LEVELS), load(tmp_path, LEVELS)
    ours.curriculum.restore({"levels": {"gcd": 2}, "rewards": {"gcd": []}})
    task = ours.sample("s", "p", 0, 1)[0]
    assert (task.name, task.dataset, task.level, task.params["max_value"]) == ("gcd@2", "gcd", 2, 900)
    assert theirs.verify(task.name, task.seed, task.question, task.answer) == task  # a peer at level 0
    assert theirs.sample("s", "p", 0, 1)[0].name == "gcd"
    for name in ("gcd@3", "gcd@0", "gcd@02", "gcd@", "gcd@-1", "gcd@x", "gcd@²", "gcd@1@1", "@1"):
        assert theirs.recompute(name, task.seed) is None, name


def test_the_format_reward_is_a_share(tmp_path: Path) -> None:
    plain, shared = load(tmp_path, LEVELS), load(tmp_path, LEVELS + "\nformat_reward: 0.25")
    assert plain.identity != shared.identity
    task = shared.make("gcd", 1)
    right, wrong = f"<answer>{task.answer}</answer>", "<answer>no</answer>"
    texts = [right, f"{right} so it is", wrong, "no"]
    assert score_group(task, texts) == [1.0, 0.75, 0.25, 0.0]
    assert score_group(plain.make("gcd", 1), texts) == [1.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("thus <answer>7</answer>\n", True),
        ("<answer>7</answer><answer>8</answer>", False),
        ("<answer></answer>", False),
        ("</answer><answer>", False),
        ("7", False),
    ],
)
def test_the_format(text: str, right: bool) -> None:
    assert has_format(text) is right


class Parity:
    """Whether a seed is even."""

    names = frozenset({"parity"})

    def make(self, name: str, seed: int, params: Mapping[str, Any]) -> Question:
        if params:
            raise ValueError("parity takes no params")
        return Question(f"Is {seed} even?", "yes" if seed % 2 == 0 else "no", {"even": seed % 2 == 0})

    def score(
        self, name: str, params: Mapping[str, Any], entry: Mapping[str, Any], texts: Sequence[str]
    ) -> list[float]:
        if "crash" in texts:
            raise RuntimeError("a text it trips over")
        return [7.0 if (text == "yes") == entry["even"] else float("nan") for text in texts]


def test_an_environment_of_ones_own(tmp_path: Path) -> None:
    tasks = load(tmp_path, "datasets: [{name: parity}, {name: gcd}]", Parity())
    drawn = tasks.sample("s", "p", 0, 200)
    assert {task.dataset for task in drawn} == {"parity", "gcd"}
    task = next(task for task in drawn if task.dataset == "parity")
    assert tasks.verify(task.name, task.seed, task.question, task.answer) == task
    assert not any(made.is_held_out for made in drawn)
    assert all(made.is_held_out for made in tasks.held_out(20, 0))
    assert score_group(task, [task.answer, "perhaps" if task.answer == "yes" else "yes"]) == [1.0, 0.0]
    assert score_group(task, ["yes", "crash"]) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("datasets: [{name: parity, params: {x: 1}}]", "takes no params"),
        ("datasets: [{name: other}]", "'other'"),
        ("datasets: [{name: gcd, levels: [1]}]", "levels"),
        ("datasets: [{name: gcd, levels: [{seed: 1}]}]", "seed"),
        ("datasets: [{name: gcd, levels: [{colour: 1}]}]", "colour"),
        ("{datasets: [{name: gcd}], format_reward: 2}", "format_reward"),
        ("{datasets: [{name: gcd}], format_reward: true}", "format_reward"),
        ("{datasets: [{name: gcd}], curriculum: {promote: 0.1}}", "demote must be below"),
        ("{datasets: [{name: gcd}], curriculum: {window: 0}}", "window"),
        ("{datasets: [{name: gcd}], curriculum: {speed: 1}}", "curriculum takes"),
        ("{datasets: [{name: gcd}], colour: red}", "fields"),
    ],
)
def test_a_bad_file_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        load(tmp_path, text, Parity())
