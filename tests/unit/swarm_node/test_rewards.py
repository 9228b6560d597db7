"""Proves: rewards follow reasoning-gym's verifiers, and no text of a stranger raises, hangs or runs code."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_gym import scoring
from swarm_gym.scoring import find_answer
from swarm_node.rewards import score, score_group
from swarm_node.tasks import Task, TaskSet

EVERY_TASK = [
    TaskSet.load(name).make(dataset, 3) for name in ("embedded", "rgym") for dataset in TaskSet.load(name).names
]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<answer>7</answer>", "7"),
        ("<think>5</think> <answer> 7 </answer> bye", "7"),
        ("<answer>5</answer><answer>7</answer>", "7"),
        ("7", None),
        ("<answer>7", None),
        ("7</answer>", None),
        ("", None),
        ("<answer></answer>", ""),
        (f"<answer>{'7' * 513}</answer>", None),
    ],
)
def test_the_last_answer_counts(text: str, answer: str | None) -> None:
    assert find_answer(text) == answer


def test_only_the_end_of_a_very_long_text_is_read() -> None:
    filler = "x" * scoring.MAX_TEXT_CHARS
    assert find_answer("<answer>1</answer>" + filler + "<answer>2</answer>") == "2"
    assert find_answer("<answer>" + filler + "2</answer>") is None


def test_a_group_keeps_its_order() -> None:
    task = TaskSet.load("embedded").make("products", 1)
    wrong = str(int(task.answer) + 1)
    texts = [f"<answer>{wrong}</answer>", f"<answer>{task.answer}</answer>", task.answer, "<answer></answer>"]
    assert score_group(task, texts) == [0.0, 1.0, 0.0, 0.0]


def test_partial_credit_is_the_verifiers() -> None:
    task = TaskSet.load("embedded").make("fraction_simplification", 1)
    assert 0 < score("<answer>no fraction</answer>", task) < 0.1
    assert score("no tags", task) == 0.0


def test_params_reach_the_verifier(tmp_path: Path) -> None:
    """decimal_arithmetic tolerates one unit of the last configured place; the default is three places."""
    path = tmp_path / "set.yaml"
    path.write_text(
        "datasets: [{name: decimal_arithmetic, params: {min_num_decimal_places: 1, max_num_decimal_places: 1}}]"
    )
    loose, strict = (
        TaskSet.load(str(path)).make("decimal_arithmetic", 1),
        TaskSet.load("rgym").make("decimal_arithmetic", 1),
    )
    for task, reward in ((loose, 1.0), (strict, 0.0)):
        assert score(f"<answer>{float(task.answer) + 0.05:.4f}</answer>", task) == reward


def hostile_texts(marker: Path) -> list[str]:
    return [
        "<answer>" * 4000,
        "<answer>" * 4000 + "</answer>",
        "</answer>" * 4000,
        *(
            f"<answer>{answer}</answer>"
            for answer in (
                f"__import__('pathlib').Path({str(marker)!r}).touch()",
                "9**9**9**9", "1e999999999", "-1e999999999", "NaN", "sNaN", "Infinity", "1/0", "9" * 500,
                "[" * 500, "(" * 250 + "A" + ")" * 250, "¬" * 510 + "A", "A∧" * 250 + "A", "\x00", "\ud800", "٣", " ",
            )
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("task", EVERY_TASK, ids=lambda task: task.name)
def test_hostile_text_is_cheap_and_never_right(task: Task, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    for text in hostile_texts(marker):
        start = time.process_time()
        reward = score(text, task)
        assert time.process_time() - start < 0.5, text[:40]
        assert 0.0 <= reward < 0.5, text[:40]  # some verifiers have a crumb for an answer that contains the right one
    assert not marker.exists()


@pytest.mark.parametrize("task", EVERY_TASK, ids=lambda task: task.name)
@given(text=st.text(max_size=200))
@settings(max_examples=30, deadline=None)
def test_any_answer_has_a_reward_between_zero_and_one(task: Task, text: str) -> None:
    assert 0.0 <= score(f"<answer>{text}</answer>", task) <= 1.0


def test_a_scorer_that_raises_or_leaves_the_range_is_bounded() -> None:
    task = EVERY_TASK[0]

    def raising(answer: str, entry: object) -> float:
        raise RecursionError

    assert scoring._score_one(raising, "<answer>1</answer>", task) == 0.0
    assert scoring._score_one(lambda a, e: float("nan"), "<answer>1</answer>", task) == 0.0
    assert scoring._score_one(lambda a, e: 7.0, "<answer>1</answer>", task) == 1.0
    assert scoring._score_one(lambda a, e: -7.0, "<answer>1</answer>", task) == 0.0


def test_binary_matrix_is_scored_without_evaluating_it(tmp_path: Path) -> None:
    task = TaskSet.load("rgym").make("binary_matrix", 3)
    rows = [[int(cell) for cell in line.split()] for line in task.answer.splitlines()]
    assert score(f"<answer>{task.answer}</answer>", task) == 1.0
    assert score(f"<answer>{rows}</answer>", task) == 0.1
    assert score("<answer>[[1, 2], [3]]</answer>", task) == 0.0
    assert score("<answer>7</answer>", task) == 0.0


@pytest.mark.parametrize(
    "answer", ["∨".join("abcdefghijklmnopqrstuvwxyz"), "¬" * 511, "∨" * 64, "a", "P" * 65, "P\u200bP"], ids=repr
)
def test_a_formula_of_a_stranger_costs_nothing_and_is_never_right(answer: str) -> None:
    task = TaskSet.load("rgym").make("propositional_logic", 0)
    started = time.monotonic()
    assert score(f"<answer>{answer}</answer>", task) <= 0.05
    assert time.monotonic() - started < 1.0


def test_a_right_formula_still_counts() -> None:
    tasks = [TaskSet.load("rgym").make("propositional_logic", seed) for seed in range(20)]
    assert all(score(f"<answer>{task.entry['metadata']['example_answer']}</answer>", task) >= 0.25 for task in tasks)
