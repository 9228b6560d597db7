"""Numbers of a round: lengths, shares, rewards by task, speed; event files and the terminal's line show them."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tests.support.statuses import node_status, round_record

from swarm_node import events
from swarm_node.device import DeviceChoice
from swarm_node.events import EventFiles, scalars
from swarm_node.measures import note_rollouts, note_training, peak_flops
from swarm_node.policy import Completion
from swarm_node.round import Rollout
from swarm_node.terminal import TerminalLine
from swarm_node.train import StepMetrics

METRICS = StepMetrics(0.5, 1.5, 0.1, 0.9, 0.0, 12, 2, 1, 1, 2, 0.5, 40)


def rollout(name: str, rewards: list[float], lengths: list[int]) -> Rollout:
    task: Any = SimpleNamespace(name=name)
    completions = [Completion([7] * length, [-1.0] * length, "", length < 5) for length in lengths]
    return Rollout(task, [1, 2], completions, rewards)


def test_rollouts() -> None:
    record = round_record()
    own = [rollout("a", [1.0, 0.0], [3, 5]), rollout("b", [0.5, 0.5], [4, 4]), rollout("a", [0.0, 0.0], [1, 1])]
    note_rollouts(record, own, 2.0)
    assert record.rewards_by_task == {"a": 0.25, "b": 0.5}
    assert record.zero_advantage_share == pytest.approx(2 / 3)
    assert record.finished_share == pytest.approx(5 / 6)
    assert (record.completion_tokens, record.completion_length_mean, record.completion_length_max) == (18, 3.0, 5)
    assert record.generated_tokens_per_second == 9.0


def test_training() -> None:
    record = round_record()
    note_training(record, METRICS, [[1.0, 0.0], [0.5, 0.5]], "none", 1000, 1e6)
    assert (record.entropy, record.kl, record.grad_norm) == (0.9, 0.0, 1.5)
    assert record.advantage_max == 0.5
    assert record.advantage_std == pytest.approx((0.5**2 / 2) ** 0.5)
    assert record.trained_tokens_per_second == 24.0
    assert record.mfu == pytest.approx(6 * 1000 * 40 * 2 / 0.5 / 1e6)
    assert record.memory_peak > 10_000_000


def test_the_machine_reaches_something(cpu: DeviceChoice) -> None:
    assert 1e8 < peak_flops(cpu) < 1e15
    assert 1e8 < peak_flops(DeviceChoice(torch.device("cpu"), torch.bfloat16, 1)) < 1e15


def test_scalars_are_numbers_only() -> None:
    found = dict(scalars(round_record(seconds={"train": 2.0})))
    assert found["seconds/train"] == 2.0
    assert found["external"] == 1.0
    assert found["loss"] == -0.125
    assert "result" not in found


def written(directory: Path) -> list[Path]:
    return sorted(directory.glob("events.out.tfevents.*"))


def test_event_files_can_be_read_back(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    for number in range(3):
        files.add(round_record(training_round=number, own_reward=number / 4))
    files.add(round_record(training_round=3, result="failed"))
    files.close()
    (path,) = written(tmp_path)
    data = path.read_bytes()
    assert data.count(b"own_reward") == 3
    assert b"rewards_by_task/chain_sum" in data


def test_event_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "FILES", 2)
    for number in range(4):
        (tmp_path / f"events.out.tfevents.{number}.host").touch()
    files = EventFiles(tmp_path)
    files.add(round_record())
    files.close()
    assert len(written(tmp_path)) == 2


def test_a_disk_that_refuses_ends_the_writing_only(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    files = EventFiles(tmp_path / "file")
    files.add(round_record())
    files.add(round_record())
    files.close()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_line_is_for_terminals_only() -> None:
    pipe, terminal = io.StringIO(), Terminal()
    for stream in (pipe, terminal):
        line = TerminalLine(stream)
        line.show(node_status(phase="train"))
        line.clear()
    assert pipe.getvalue() == ""
    assert "round 42  train  reward 0.250" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
