"""Packing: each prompt once, positions restart for each completion, micro-batches keep within their limit."""

import math

import pytest
import torch

from swarm_node.packing import Row, TrainingGroup, pack, plan


def row(group: int, prompt: list[int], completion: list[int]) -> Row:
    return Row(group, prompt, completion, advantage=group + 0.5, token_weight=0.25)


ROWS = [row(0, [1, 2, 3], [10, 11]), row(0, [1, 2, 3], [12]), row(4, [5], [13, 14, 15])]


def test_packed_tokens_and_positions() -> None:
    batch = pack(ROWS, torch.device("cpu"))
    assert batch.input_ids.tolist() == [[1, 2, 3, 10, 11, 12, 5, 13, 14, 15]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 3, 0, 1, 2, 3]]
    assert batch.targets.tolist() == [10, 11, 12, 13, 14, 15]
    # the first token of each completion is predicted by the last one of its prompt
    assert batch.predictor.tolist() == [2, 3, 2, 6, 7, 8]
    assert batch.advantages.tolist() == [0.5, 0.5, 0.5, 4.5, 4.5, 4.5]
    assert batch.weights.tolist() == [0.25] * 6
    assert all(math.isnan(value) for value in batch.old_logprobs.tolist())


def test_old_logprobs_are_carried_where_known() -> None:
    known = Row(0, [1], [2, 3], 1.0, 1.0, old_logprobs=[-0.5, -1.5])
    values = pack([known, row(0, [1], [4])], torch.device("cpu")).old_logprobs.tolist()
    assert values[:2] == [-0.5, -1.5]
    assert math.isnan(values[2])


@pytest.mark.parametrize(
    ("limit", "sizes"),
    [(10, [3]), (9, [2, 1]), (6, [2, 1]), (5, [1, 1, 1]), (1, [1, 1, 1])],
)
def test_micro_batches(limit: int, sizes: list[int]) -> None:
    parts = plan(ROWS, limit)
    assert [len(part) for part in parts] == sizes
    assert [r for part in parts for r in part] == ROWS


def test_nothing_to_plan() -> None:
    assert plan([], 100) == []


@pytest.mark.parametrize(
    ("prompt", "completions", "advantages", "old"),
    [
        ([], [[1]], [1.0], None),
        ([1], [], [], None),
        ([1], [[1], []], [1.0, 1.0], None),
        ([1], [[1]], [1.0, 2.0], None),
        ([1], [[1, 2]], [1.0], [[-1.0]]),
        ([1], [[1, 2]], [1.0], []),
    ],
)
def test_lists_that_do_not_fit(
    prompt: list[int], completions: list[list[int]], advantages: list[float], old: list[list[float]] | None
) -> None:
    with pytest.raises(ValueError, match=r"training group needs|do not match"):
        TrainingGroup(prompt, completions, advantages, old)
