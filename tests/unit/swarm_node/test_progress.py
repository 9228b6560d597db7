"""Progress: which round comes next, how often it is saved, and that a full disk does not stop training."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from swarm_core.errors import ConfigError
from swarm_node import progress as progress_module
from swarm_node.checkpoint import Best, CheckpointError, Saved
from swarm_node.progress import Progress


class Store:
    """In the place of the checkpoints on disk; a save takes `seconds`."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.now = 1000.0
        self.seconds = seconds
        self.saved: list[int] = []
        self.directory = Path("/state/checkpoints")
        self.state: Any = None
        self.error: CheckpointError | None = None
        self.held_out: float | None = None
        self.seen: list[str] = []

    def monotonic(self) -> float:
        return self.now

    def save(self, state: Any, held_out: float | None = None) -> Saved:
        self.now += self.seconds
        if self.error is not None:
            raise self.error
        self.saved.append(state.round)
        self.seen = state.extra["seen_groups"]
        if held_out is not None and (self.held_out is None or held_out > self.held_out):
            self.held_out = held_out
        return Saved(Path("/nowhere"), f"sha of {state.round}")

    def best(self, config_hash: str) -> Best | None:
        return None if self.held_out is None else Best("round", self.held_out)

    def load_latest(self, config_hash: str) -> Any:
        assert config_hash == "c0ffee"
        return self.state


def progress(store: Store, monkeypatch: pytest.MonkeyPatch, first_round: int = 0) -> Progress:
    monkeypatch.setattr(progress_module, "time", store)
    monkeypatch.setattr(
        progress_module,
        "capture",
        lambda trainer, *, config_hash, round_number, extra: SimpleNamespace(round=round_number, extra=extra),
    )
    monkeypatch.setattr(
        progress_module, "restore", lambda state, trainer: setattr(trainer, "optimizer_steps", state.optimizer_steps)
    )
    return Progress(store, SimpleNamespace(optimizer_steps=7), "c0ffee", first_round)  # type: ignore[arg-type]


def test_a_cheap_checkpoint_is_written_after_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(seconds=0.1)
    made = progress(store, monkeypatch)
    for number in range(3):
        made.finished(number)
        store.now += 3.0
    assert store.saved == [0, 1, 2]
    assert (made.training_round, made.saved_step) == (3, 7)


def test_a_dear_checkpoint_takes_a_twentieth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(seconds=10.0)
    made = progress(store, monkeypatch)
    start = store.now
    for number in range(200):
        made.finished(number)
        store.now += 5.0
    assert 0.03 < len(store.saved) * 10.0 / (store.now - start) < 0.07


def test_a_checkpoint_of_two_seconds_is_written_after_every_round(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(seconds=1.9)
    made = progress(store, monkeypatch)
    assert [made.finished(number) for number in range(3)] == [True, True, True]
    assert made.saved_sha256 == "sha of 2"


def test_the_best_round_is_always_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(seconds=10.0)
    made = progress(store, monkeypatch)
    for number, held_out in enumerate([0.2, 0.1, 0.3, 0.3, None]):
        made.finished(number, held_out)
    assert store.saved == [0, 2]


def test_the_last_round_is_saved_at_the_end_unless_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(seconds=10.0)
    made = progress(store, monkeypatch)
    made.finished(0)
    made.finished(1)  # too soon after the first
    assert store.saved == [0]
    made.save()
    made.save()
    assert store.saved == [0, 1]


def test_a_checkpoint_that_cannot_be_written_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    made = progress(store, monkeypatch)
    store.error = CheckpointError("no space left")
    made.finished(0)
    assert (store.saved, made.saved_step, made.training_round) == ([], None, 1)
    assert "no space" in made.last_error
    store.error = None
    made.finished(1)
    assert (store.saved, made.saved_step, made.last_error) == ([1], 7, "")


def test_resume(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    made = progress(store, monkeypatch, first_round=4)
    assert made.resume() is None
    assert (made.training_round, made.saved_step) == (4, None)
    store.state = SimpleNamespace(round=9, optimizer_steps=8, extra={"seen_groups": ["a", "b"]})
    assert made.resume() == 8
    assert (made.training_round, made.saved_step) == (10, 8)
    made.save()  # it is on disk already
    assert store.saved == []
    assert made.seen.digests() == ["a", "b"]  # and is not used again
    made.seen.add(["c"])
    made.finished(10)
    assert store.seen == ["a", "b", "c"]


def test_rounds_after_the_checkpoint_are_redone(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store()
    store.state = SimpleNamespace(round=9, optimizer_steps=8, extra={"seen_groups": ["a", "b"]})
    made = progress(store, monkeypatch, first_round=11)
    assert made.resume() == 8
    assert made.training_round == 10
    made.save()  # the weights are those of the checkpoint
    assert store.saved == []


def test_a_checkpoint_that_does_not_fit_is_named_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise KeyError("generator.sampling")

    store = Store()
    store.state = SimpleNamespace(round=9, optimizer_steps=8, extra={"seen_groups": ["a", "b"]})
    made = progress(store, monkeypatch)
    monkeypatch.setattr(progress_module, "restore", refuse)
    with pytest.raises(ConfigError, match="round 9") as caught:
        made.resume()
    assert "c0ffee" in caught.value.remedy


def test_a_failed_round_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made = progress(Store(), monkeypatch)
    made.skip(0)
    assert made.training_round == 1
    made.finished(1)
    made.skip(0)
    assert made.training_round == 2
