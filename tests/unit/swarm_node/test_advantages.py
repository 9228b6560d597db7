"""Advantages have TRL's exact values, and groups without signal are recognised."""

import math

import pytest

from swarm_node.advantages import batch_advantages, group_advantages, is_informative, standard_deviation


def test_standard_deviation_is_unbiased() -> None:
    assert standard_deviation([1.0, 2.0, 3.0, 4.0]) == pytest.approx(1.2909944487358056, rel=1e-15)
    assert standard_deviation([0.0, 1.0]) == pytest.approx(math.sqrt(0.5), rel=1e-15)


@pytest.mark.parametrize("values", [[], [3.0]])
def test_standard_deviation_of_fewer_than_two_values_is_zero(values: list[float]) -> None:
    assert standard_deviation(values) == 0.0


def test_one_success_in_four() -> None:
    # mean 0.25, unbiased deviation 0.5, plus 1e-4
    assert group_advantages([0, 0, 1, 0], 0.5) == pytest.approx(
        [-0.25 / 0.5001, -0.25 / 0.5001, 0.75 / 0.5001, -0.25 / 0.5001]
    )
    assert batch_advantages([[0, 0, 1, 0]]) == [group_advantages([0, 0, 1, 0], 0.5)]


def test_scale_none_only_centres() -> None:
    assert batch_advantages([[0.0, 1.0], [0.2, 0.4]], "none") == [[-0.5, 0.5], pytest.approx([-0.1, 0.1])]


def test_scale_batch_divides_by_the_deviation_of_all_rewards() -> None:
    groups = [[0.0, 1.0], [0.0, 0.0]]
    deviation = 0.5  # of [0, 1, 0, 0], unbiased
    assert batch_advantages(groups, "batch") == [
        pytest.approx([-0.5 / (deviation + 1e-4), 0.5 / (deviation + 1e-4)]),
        [0.0, 0.0],
    ]


def test_scale_group_divides_each_group_by_its_own_deviation() -> None:
    small, large = batch_advantages([[0.0, 0.01], [0.0, 1.0]], "group")
    assert small == pytest.approx([-0.005 / (math.sqrt(0.5) * 0.01 + 1e-4), 0.005 / (math.sqrt(0.5) * 0.01 + 1e-4)])
    assert large == pytest.approx([-0.5 / (math.sqrt(0.5) + 1e-4), 0.5 / (math.sqrt(0.5) + 1e-4)])


@pytest.mark.parametrize(
    ("rewards", "informative"),
    [
        ([0.0, 0.0], False),
        ([1.0, 1.0, 1.0], False),
        ([0.0, 1.0], True),
        ([1.0, 0.99], True),
        ([0.3, 0.1 + 0.2], False),  # the same but for rounding
        ([0.0, 1e-8], False),  # the limit itself
        ([0.0, 2e-8], True),
        ([0.5], False),
        ([], False),
    ],
)
def test_informative(rewards: list[float], informative: bool) -> None:
    assert is_informative(rewards) is informative


def test_equal_rewards_give_exact_zeros() -> None:
    for scale in ("group", "batch", "none"):
        assert batch_advantages([[0.1, 0.1, 0.1], [0.0, 1.0]], scale)[0] == [0.0, 0.0, 0.0]  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_reward_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        group_advantages([0.0, bad])


def test_no_groups() -> None:
    for scale in ("group", "batch", "none"):
        assert batch_advantages([], scale) == []  # type: ignore[arg-type]
