"""Checkpoints: exact round trip, newest intact one wins, damage and full disks leave the older ones usable."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from swarm_node import checkpoint
from swarm_node.checkpoint import CheckpointError, CheckpointState, CheckpointStore, hash_config
from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.packing import TrainingGroup
from swarm_node.policy import Policy
from swarm_node.train import Trainer
from swarm_node.train_state import capture, restore

HASH = "0123456789abcdef"


def state(number: int, config_hash: str = HASH, value: float = 1.5) -> CheckpointState:
    return CheckpointState(
        config_hash=config_hash,
        round=number,
        optimizer_steps=number * 2,
        weights={"w": torch.full((3, 2), value), "b": torch.tensor([1, 2])},
        optimizer={"0.exp_avg": torch.randn(3, 2), "0.step": torch.tensor(4.0)},
        rng={"torch": torch.get_rng_state()},
        extra={"sampler": {"position": number}, "unsent": 0.25},
    )


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / HASH).iterdir())


def test_round_trip(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    saved = state(7)
    store.save(saved)
    loaded = CheckpointStore(tmp_path).load_latest(HASH)
    assert loaded is not None
    for part in ("weights", "optimizer", "rng"):
        ours, theirs = getattr(saved, part), getattr(loaded, part)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        assert all(ours[name].dtype == theirs[name].dtype for name in ours)
    assert (loaded.config_hash, loaded.round, loaded.optimizer_steps, loaded.extra) == (HASH, 7, 14, saved.extra)


def test_nothing_there(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "none").load_latest(HASH) is None


def test_the_newest_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=3)
    for number in (1, 2, 9, 10, 11):
        store.save(state(number))
    assert names(tmp_path) == [f"round-{number:012d}-0000" for number in (9, 10, 11)]


def test_a_round_saved_twice_is_replaced(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(state(3, value=1.0))
    store.save(state(3, value=2.0))
    loaded = store.load_latest(HASH)
    assert loaded is not None
    assert loaded.weights["w"][0, 0] == 2.0
    assert names(tmp_path) == ["round-000000000003-0001"]


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors", "rng.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "truncate", "remove"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, name: str, damage: str) -> None:
    store = CheckpointStore(tmp_path)
    store.save(state(1))
    path = store.save(state(2)).path / name
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
    elif damage == "truncate":
        path.write_bytes(data[:-1])
    else:
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    loaded = store.load_latest(HASH)
    assert loaded is not None
    assert loaded.round == 1


@pytest.mark.parametrize("manifest", ["", "{}", '{"format": 99, "sha256": {}}', "[]"])
def test_a_damaged_manifest_is_passed_over(tmp_path: Path, manifest: str) -> None:
    store = CheckpointStore(tmp_path)
    store.save(state(1))
    (store.save(state(2)).path / "manifest.json").write_text(manifest)
    loaded = store.load_latest(HASH)
    assert loaded is not None
    assert loaded.round == 1


def test_what_a_killed_process_left_is_ignored_and_removed(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    written = store.save(state(1)).path
    torn = written.parent / ".writing-abc"
    torn.mkdir()
    (torn / "weights.safetensors").write_bytes(b"half")
    loaded = store.load_latest(HASH)
    assert loaded is not None
    assert loaded.round == 1
    store.save(state(2))
    assert names(tmp_path) == ["round-000000000001-0000", "round-000000000002-0000"]


def test_another_configuration_starts_fresh_and_keeps_the_old(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(state(5))
    other = "f" * 16
    assert store.load_latest(other) is None
    store.save(state(1, config_hash=other))
    loaded = store.load_latest(HASH)
    assert loaded is not None
    assert loaded.round == 5


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SafetensorError("I/O error: disk full")])
def test_a_full_disk_is_reported_and_the_old_checkpoint_stays(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path)
    store.save(state(1))

    def full(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match="round 2 was not saved"):
        store.save(state(2))
    assert names(tmp_path) == ["round-000000000001-0000"]
    loaded = store.load_latest(HASH)
    assert loaded is not None
    assert loaded.round == 1


def test_a_kill_before_the_rename_loses_at_most_the_new_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path)
    store.save(state(1))
    store.save(state(2))
    real = os.rename
    calls = []

    class Killed(BaseException):
        """As a SIGKILL: nothing of the program runs any more."""

    def rename(source: Any, target: Any) -> None:
        calls.append(source)
        raise Killed

    monkeypatch.setattr(os, "rename", rename)
    for number in (2, 3):  # a redone round, a new one
        with pytest.raises(Killed):
            store.save(state(number))
        loaded = CheckpointStore(tmp_path).load_latest(HASH)
        assert loaded is not None
        assert loaded.round == 2
    monkeypatch.setattr(os, "rename", real)
    store.save(state(3))
    assert len(calls) == 2
    assert names(tmp_path) == [f"round-{number:012d}-0000" for number in (1, 2, 3)]


def test_tied_weights_are_stored_once_and_a_run_goes_on_bit_for_bit(
    tmp_path: Path, make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    hyper = Hyperparameters(learning_rate=1e-2, max_completion_length=6)
    prompts = [[65, 66, 67], [70]]

    def one_round(policy: Policy, trainer: Trainer, generator: torch.Generator) -> list[list[int]]:
        groups = policy.generate(prompts, 3, generator)
        trainer.step(
            [
                TrainingGroup(prompt, [c.ids for c in group], [1.0, -0.5, -0.5])
                for prompt, group in zip(prompts, groups, strict=True)
            ]
        )
        return [c.ids for group in groups for c in group]

    def fresh(seed: int) -> tuple[Any, Policy, Trainer, torch.Generator]:
        model = make_model(seed=seed)
        return (
            model,
            Policy(model, tokenizer, cpu, hyper),
            Trainer(model, hyper, cpu),
            torch.Generator().manual_seed(seed),
        )

    model, policy, trainer, generator = fresh(0)
    for _ in range(2):
        one_round(policy, trainer, generator)
    store = CheckpointStore(tmp_path)
    snapshot = capture(trainer, config_hash=HASH, round_number=2, generators={"sampling": generator})
    assert "lm_head.weight" not in snapshot.weights
    store.save(snapshot)
    expected = [one_round(policy, trainer, generator) for _ in range(2)]

    other, policy, trainer, generator = fresh(9)
    loaded = store.load_latest(HASH)
    assert loaded is not None
    restore(loaded, trainer, {"sampling": generator})
    assert trainer.optimizer_steps == 2
    assert [one_round(policy, trainer, generator) for _ in range(2)] == expected
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_a_checkpoint_of_another_model_is_refused(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    hyper = Hyperparameters()
    saved = capture(Trainer(make_model(), hyper, cpu), config_hash=HASH, round_number=0)
    with pytest.raises(ValueError, match="another shape"):
        restore(saved, Trainer(make_model(hidden_size=64), hyper, cpu))
    with pytest.raises(ValueError, match="not those of this model"):
        restore(saved, Trainer(make_model(num_hidden_layers=1), hyper, cpu))


def test_the_best_stays_when_it_is_old(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    assert store.best(HASH) is None
    for number, held_out in enumerate([0.1, None, 0.4, 0.4, None, 0.3, None]):
        store.save(state(number, value=float(number)), held_out)
    assert names(tmp_path) == [
        "best.json", "round-000000000002-0000", "round-000000000005-0000", "round-000000000006-0000",
    ]  # fmt: skip
    best = CheckpointStore(tmp_path).load_best(HASH)
    assert best is not None
    assert (best.round, float(best.weights["w"][0, 0])) == (2, 2.0)
    latest = store.load_latest(HASH)
    assert latest is not None
    assert latest.round == 6
    # a better one takes its place and the old one goes
    store.save(state(7), 0.5)
    assert [name for name in names(tmp_path) if "2-0000" in name] == []


@pytest.mark.parametrize(
    "text", ["", "[]", '{"name": "../../x", "held_out": 1}', '{"name": "round-000000000009-0000"}']
)
def test_a_damaged_mark_of_the_best_is_set_anew(tmp_path: Path, text: str) -> None:
    store = CheckpointStore(tmp_path)
    store.save(state(1), 0.9)
    (tmp_path / HASH / "best.json").write_text(text)
    assert store.best(HASH) is None
    store.save(state(2), 0.2)
    best = store.best(HASH)
    assert best is not None
    assert (best.name, best.held_out) == ("round-000000000002-0000", 0.2)


def test_equal_weights_have_equal_checksums(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    first, second = store.save(state(1)), store.save(state(2))
    assert first.sha256 == second.sha256
    assert store.save(state(3, value=1.6)).sha256 != first.sha256


def test_configurations_by_time(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    assert store.configs() == []
    older = store.save(state(1, config_hash="f" * 16)).path
    os.utime(older, (1, 1))
    store.save(state(1))
    assert store.configs() == [HASH, "f" * 16]


def test_config_hash() -> None:
    hyper = Hyperparameters().model_dump()
    assert hash_config("model", hyper) == hash_config("model", json.loads(json.dumps(hyper)))
    assert hash_config("model", hyper) != hash_config("other", hyper)
    assert hash_config("model", hyper) != hash_config("model", hyper | {"epsilon": 0.1})
    assert len(hash_config("x")) == 16


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        CheckpointStore(tmp_path, keep=0)
    with pytest.raises(ValueError, match="hexadecimal"):
        CheckpointStore(tmp_path).load_latest("../elsewhere")
