"""Proves: a task is the same everywhere, training never meets held-out questions, a peer's claim must equal ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.errors import ConfigError
from swarm_node.rewards import score
from swarm_node.tasks import Task, TaskSet, is_held_out

SETS = ["embedded", "rgym"]
GOLDEN = [
    ("Find the Greatest Common Divisor (GCD) of these numbers: 6, 12. Give only the GCD as your final answer.", "6"),
    ("Find the Least Common Multiple (LCM) of these numbers: 3, 6", "6"),
    ("Solve the following multiplication: 4 * 5. Give only the result as your final answer.", "20"),
]


def key_of(task: Task) -> str:
    """The answer key; propositional logic has many right answers and names one in its metadata."""
    return task.answer or str(task.entry["metadata"]["example_answer"])


@pytest.fixture(scope="module", params=SETS)
def task_set(request: pytest.FixtureRequest) -> TaskSet:
    return TaskSet.load(request.param)


def test_shipped_sets_hold_the_datasets_of_the_findings_and_of_upstream() -> None:
    assert set(TaskSet.load("embedded").names) == {
        "chain_sum", "basic_arithmetic", "base_conversion", "count_bits",
        "fraction_simplification", "gcd", "lcm", "products",
    }  # fmt: skip
    assert set(TaskSet.load("rgym").names) == {
        "arc_1d", "basic_arithmetic", "base_conversion", "bf", "binary_matrix",
        "calendar_arithmetic", "decimal_arithmetic", "fraction_simplification", "propositional_logic",
    }  # fmt: skip


def test_name_and_seed_are_the_task(task_set: TaskSet) -> None:
    for name in task_set.names:
        first, again, other = task_set.make(name, 7), task_set.make(name, 7), task_set.make(name, 8)
        assert first == again
        assert first.question != other.question


def test_embedded_questions_do_not_change_between_releases() -> None:
    """Peers of different versions must agree on these, or they reject one another's groups."""
    task_set = TaskSet.load("embedded")
    made = [
        (task_set.make(name, 12345).question.splitlines()[-1], task_set.make(name, 12345).answer)
        for name in ("gcd", "lcm", "products")
    ]
    assert made == GOLDEN


def test_sample_is_reproducible_and_differs_by_swarm_peer_and_round(task_set: TaskSet) -> None:
    base = task_set.sample("swarm", "peer", 3, 8)
    assert base == task_set.sample("swarm", "peer", 3, 8)
    others = [("other", "peer", 3), ("swarm", "other", 3), ("swarm", "peer", 4)]
    for swarm, peer, round in others:
        assert [t.seed for t in task_set.sample(swarm, peer, round, 8)] != [t.seed for t in base]


def test_sampling_never_gives_held_out_questions_and_evaluation_only_those(task_set: TaskSet) -> None:
    trained = [task for round in range(20) for task in task_set.sample("s", "p", round, 10)]
    evaluated = task_set.held_out(100, seed=1)
    assert not any(is_held_out(task.question) for task in trained)
    assert all(is_held_out(task.question) for task in evaluated)
    assert len(trained) == 200
    assert len(evaluated) == 100
    assert {task.name for task in trained} == set(task_set.names)


def test_held_out_share_is_a_fifth() -> None:
    share = sum(is_held_out(f"question {i}") for i in range(10_000)) / 10_000
    assert 0.18 < share < 0.22


def test_weights_decide_how_often_a_dataset_is_drawn(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("datasets: [{name: gcd, weight: 9}, {name: lcm, weight: 1}]")
    drawn = [task.name for task in TaskSet.load(str(path)).sample("s", "p", 0, 1000)]
    assert 850 < drawn.count("gcd") < 950


def test_the_answer_key_scores_one(task_set: TaskSet) -> None:
    for task in task_set.sample("s", "p", 0, 60):
        assert score(f"so <answer>{key_of(task)}</answer>", task) == 1.0, task.name


def test_a_question_without_an_answer_is_never_asked(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("datasets: [{name: base_conversion, params: {min_value: 0, max_value: 1}}]")
    task_set = TaskSet.load(str(path))
    made = [task_set.make("base_conversion", seed) for seed in range(50)]
    assert any(not task.answerable for task in made)
    assert all(task.answer for task in task_set.sample("s", "p", 0, 50))


def test_a_peers_claim_is_recomputed(task_set: TaskSet) -> None:
    task = task_set.sample("s", "peer", 1, 1)[0]
    assert task_set.verify(task.name, task.seed, task.question, task.answer) == task
    assert task_set.verify(task.name, task.seed, task.question, task.answer + "0") is None
    assert task_set.verify(task.name, task.seed, task.question + " ", task.answer) is None
    assert task_set.verify(task.name, task.seed + 1, task.question, task.answer) is None


def test_recompute_refuses_what_is_not_ours_to_train_on(task_set: TaskSet) -> None:
    held_out = task_set.held_out(1, seed=2)[0]
    assert task_set.recompute(held_out.name, held_out.seed) is None
    assert task_set.recompute("codeio", 1) is None
    assert task_set.recompute(task_set.names[0], -1) is None
    assert task_set.recompute(task_set.names[0], 2**32) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("datasets: []", "no list"),
        ("[1, 2]", "no list"),
        ("datasets: [{name: countdown}]", "countdown"),  # its scorer evaluates the answer
        ("datasets: [{name: gcd, colour: red}]", "fields"),
        ("datasets: [{name: gcd, weight: 0}]", "positive weight"),
        ("datasets: [{name: gcd, weight: .nan}]", "positive weight"),
        ("datasets: [{name: gcd}, {name: gcd}]", "twice"),
        ("datasets: [{name: gcd, params: {seed: 1}}]", "seed"),
        ("datasets: [{name: gcd, params: {colour: red}}]", "colour"),
        ("datasets: [{name: gcd, params: {min_value: 9, max_value: 1}}]", "refuses its params"),
        ("datasets: [", "cannot be read"),
    ],
)
def test_a_bad_task_set_is_one_clear_error(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        TaskSet.load(str(path))
    assert caught.value.remedy


@pytest.mark.parametrize("name", ["no-such-set", "../tasksets/embedded", "/no/such/file.yaml"])
def test_an_unknown_task_set_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        TaskSet.load(name)


def test_a_dataset_without_training_questions_ends_instead_of_looping(tmp_path: Path) -> None:
    path = tmp_path / "set.yaml"
    path.write_text("datasets: [{name: count_bits, params: {min_n: 1, max_n: 1}}]")  # one question in all
    task_set = TaskSet.load(str(path))
    held_out = task_set.make("count_bits", 0).is_held_out
    with pytest.raises(ConfigError, match="no question on the"):
        _ = task_set.sample("s", "p", 0, 1) if held_out else task_set.held_out(1, 0)
