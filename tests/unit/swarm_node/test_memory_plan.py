"""Rounds fit into memory, one that did not is made smaller, the next process knows; killed is told from stopped."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from swarm_core.errors import ConfigError
from swarm_node import memory
from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.memory import Need
from swarm_node.memory_plan import MemoryPlan

NEED = Need(held=500, states=300, head=50, generation=400, activation=1)


class Machine:
    """What a plan asks about: memory in use and the cgroup's count of kills."""

    resident = 100
    kills = 0


def plan(directory: Path, machine: Machine, limit: int = 10_000, config: str = "c", groups: int = 3) -> MemoryPlan:
    return MemoryPlan(
        directory / "memory.json", config, NEED, limit, groups, 256, lambda: machine.resident, lambda: machine.kills
    )


@pytest.mark.parametrize(
    ("limit", "tokens", "groups"),
    [(10_000, 4096, 3), (4_000, 2688, 3), (1_340, 320, 3), (1_260, 256, 2)],
)
def test_the_largest_that_fits(limit: int, tokens: int, groups: int, tmp_path: Path) -> None:
    chosen = plan(tmp_path, Machine(), limit)
    assert (chosen.micro_batch_tokens, chosen.groups) == (tokens, groups)
    assert chosen.told == ""


def test_refused_with_the_numbers(tmp_path: Path) -> None:
    need = Need(held=int(2e9), states=int(6e9), head=int(1e9), generation=int(1e9), activation=int(1e6))
    with pytest.raises(ConfigError) as caught:
        MemoryPlan(tmp_path / "m", "c", need, int(8e9), 2, 100, lambda: 0, lambda: 0)
    assert "needs 9.1 GB" in str(caught.value)
    assert "7.2 GB of 8.0 GB" in str(caught.value)
    assert "6.0 GB" in str(caught.value)


def test_steps_first_halve_the_micro_batch_then_take_groups(tmp_path: Path) -> None:
    chosen = plan(tmp_path, Machine(), 1_800)
    sizes = [(chosen.micro_batch_tokens, chosen.groups)]
    while chosen.step_down("test"):
        sizes.append((chosen.micro_batch_tokens, chosen.groups))
    assert sizes == [(768, 3), (384, 3), (256, 3), (256, 2), (256, 1)]
    assert chosen.told == "memory ran out 4×: micro-batch of 256 tokens, 1 groups a round"
    again = plan(tmp_path, Machine(), 1_800)
    assert (again.micro_batch_tokens, again.groups, again.steps) == (256, 1, 4)


def killed(directory: Path, machine: Machine, limit: int, largest: int) -> None:
    """Leave what a process leaves that vanished in the middle of a round with `largest` bytes in use."""
    first = plan(directory, machine, limit)
    with first.watching():
        left = json.loads((directory / "memory.json").read_text())
    assert left["computing"] is True
    (directory / "memory.json").write_text(json.dumps(left | {"largest": largest}))


def test_killed_near_the_limit_takes_a_step(tmp_path: Path) -> None:
    killed(tmp_path, Machine(), 10_000, largest=9_000)
    chosen = plan(tmp_path, Machine())
    assert (chosen.micro_batch_tokens, chosen.steps) == (2048, 1)
    assert plan(tmp_path, Machine()).steps == 1, "once"


def test_killed_by_the_kernel_takes_a_step(tmp_path: Path) -> None:
    machine = Machine()
    killed(tmp_path, machine, 10_000, largest=200)
    machine.kills = 1
    assert plan(tmp_path, machine).steps == 1


def test_killed_for_another_reason_takes_none(tmp_path: Path) -> None:
    killed(tmp_path, Machine(), 10_000, largest=5_000)
    assert plan(tmp_path, Machine()).steps == 0


def test_two_that_vanished_in_the_same_round_take_a_step(tmp_path: Path) -> None:
    killed(tmp_path, Machine(), 10_000, largest=200)
    left = (tmp_path / "memory.json").read_text()
    assert plan(tmp_path, Machine()).steps == 0
    again = json.loads((tmp_path / "memory.json").read_text())
    (tmp_path / "memory.json").write_text(json.dumps(again | {"computing": True}))
    assert plan(tmp_path, Machine()).steps == 1
    assert plan(tmp_path, Machine()).steps == 1, "once"
    (tmp_path / "memory.json").write_text(left)
    with plan(tmp_path, Machine()).watching():
        pass
    assert json.loads((tmp_path / "memory.json").read_text())["vanished"] == 0, "a round between them ended"


def test_what_an_older_version_left_is_taken_over(tmp_path: Path) -> None:
    plan(tmp_path, Machine()).step_down("test")
    left = json.loads((tmp_path / "memory.json").read_text())
    del left["vanished"]
    (tmp_path / "memory.json").write_text(json.dumps(left))
    assert plan(tmp_path, Machine()).steps == 1


def test_a_round_that_ended_leaves_no_mark(tmp_path: Path) -> None:
    machine = Machine()
    chosen = plan(tmp_path, machine)
    with pytest.raises(RuntimeError, match="any"), chosen.watching():
        raise RuntimeError("any")
    assert plan(tmp_path, machine).steps == 0


def test_growth_while_computing_reaches_the_disk(tmp_path: Path) -> None:
    machine, file = Machine(), tmp_path / "memory.json"
    with plan(tmp_path, machine).watching():
        machine.resident = 9_000
        end = time.monotonic() + 10
        while json.loads(file.read_text())["largest"] != 9_000:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_a_smaller_limit_is_estimated_anew(tmp_path: Path) -> None:
    assert plan(tmp_path, Machine(), 10_000).micro_batch_tokens == 4096
    assert plan(tmp_path, Machine(), 9_500).micro_batch_tokens == 4096
    smaller = plan(tmp_path, Machine(), 4_000)
    assert (smaller.micro_batch_tokens, smaller.steps) == (2688, 0)
    assert plan(tmp_path, Machine(), 10_000).micro_batch_tokens == 2688, "as it was: the weights depend on it"
    with pytest.raises(ConfigError, match="A round of one group needs"):
        plan(tmp_path, Machine(), 1_000)


def test_another_configuration_starts_from_the_estimate(tmp_path: Path) -> None:
    plan(tmp_path, Machine()).step_down("test")
    assert plan(tmp_path, Machine(), config="other").steps == 0


def test_a_damaged_file_starts_from_the_estimate(tmp_path: Path) -> None:
    (tmp_path / "memory.json").write_text('{"config": 3')
    assert plan(tmp_path, Machine()).micro_batch_tokens == 4096


def test_kills_that_the_cgroup_counts(tmp_path: Path) -> None:
    assert memory.cgroup_oom_kills(tmp_path) == 0
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert memory.cgroup_oom_kills(tmp_path) == 1
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert memory.cgroup_oom_kills(tmp_path) == 2


def test_the_limit_is_the_smaller_of_cgroup_and_host(tmp_path: Path, cpu: DeviceChoice) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 4000 kB\n")
    host = memory.limit_bytes(cpu, tmp_path, tmp_path / "meminfo")
    assert host > 4_096_000
    (tmp_path / "memory.max").write_text("1000000\n")
    assert memory.limit_bytes(cpu, tmp_path, tmp_path / "meminfo") == 1_000_000


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("shapes do not match"), False),
        (ValueError("DefaultCPUAllocator"), False),
    ],
)
def test_what_counts_as_out_of_memory(error: Exception, expected: bool) -> None:
    assert memory.is_out_of_memory(error) is expected


def test_the_estimate_grows_with_what_costs(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model()
    small = memory.estimate(model, Hyperparameters(), cpu, 50, 0)
    frozen = memory.estimate(model, Hyperparameters(beta=0.1), cpu, 50, 0)
    wide = memory.estimate(model, Hyperparameters(num_questions=9, num_generations=8), cpu, 50, 0)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert small.states == 12 * parameters
    assert frozen.states == 16 * parameters
    assert wide.generation == 18 * small.generation
    for parameter in model.base_model.parameters():
        parameter.requires_grad_(False)
    assert memory.estimate(model, Hyperparameters(), cpu, 50, 0).states < small.states
