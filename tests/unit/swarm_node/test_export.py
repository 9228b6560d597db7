"""Export: a checkpoint becomes a plain Hugging Face directory with the same logits, without the original model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from swarm_node import export
from swarm_node.checkpoint import BASE, CheckpointError, CheckpointStore
from swarm_node.device import DeviceChoice
from swarm_node.export import export_huggingface, write_base
from swarm_node.hyper import Hyperparameters
from swarm_node.train import Trainer
from swarm_node.train_state import capture

HASH = "0123456789abcdef"


@pytest.fixture
def trained(tmp_path: Path, make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice) -> Any:
    """A model with two checkpoints below tmp_path/state: round 3, the best, has other weights than round 4."""
    model = make_model()
    trainer = Trainer(model, Hyperparameters(), cpu)
    store = CheckpointStore(tmp_path / "state" / "checkpoints")
    write_base(model, tokenizer, store.home(HASH) / BASE)
    store.save(capture(trainer, config_hash=HASH, round_number=3), held_out=0.5)
    with torch.no_grad():
        model.model.norm.weight.mul_(1.5)
    store.save(capture(trainer, config_hash=HASH, round_number=4), held_out=0.1)
    return model


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["swarm-export", *arguments])
    export.main()


def logits(directory: Path) -> torch.Tensor:
    with torch.no_grad():
        return AutoModelForCausalLM.from_pretrained(directory)(torch.tensor([[65, 66, 67]])).logits


def test_the_newest_and_the_best(
    tmp_path: Path, trained: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tokenizer: Any
) -> None:
    state = str(tmp_path / "state")
    command(monkeypatch, "--state-dir", state, "--out", str(tmp_path / "newest"))
    command(monkeypatch, "--state-dir", state, "--out", str(tmp_path / "best"), "--best", "--config", HASH)
    said = capsys.readouterr().out.splitlines()
    assert ["newest checkpoint" in said[0], "round 4" in said[0]] == [True, True]
    assert ["best checkpoint" in said[1], "round 3" in said[1]] == [True, True]
    with torch.no_grad():
        now = trained(torch.tensor([[65, 66, 67]])).logits
    assert torch.allclose(logits(tmp_path / "newest"), now, atol=1e-5)
    assert not torch.allclose(logits(tmp_path / "best"), now, atol=1e-3)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "best")
    assert loaded("some <answer>text</answer>")["input_ids"] == tokenizer("some <answer>text</answer>")["input_ids"]
    assert loaded.chat_template == tokenizer.chat_template
    assert "rlx" not in (tmp_path / "best" / "config.json").read_text()


def test_what_cannot_be_exported_is_said_in_a_sentence(
    tmp_path: Path, trained: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("")
    state = ("--state-dir", str(tmp_path / "state"))
    for arguments, words in [
        (("--out", str(tmp_path / "full"), *state), "is not empty"),
        (("--out", str(tmp_path / "a"), "--state-dir", str(tmp_path)), "there is none at all"),
        (("--out", str(tmp_path / "a"), "--config", "f" * 16, *state), HASH),
    ]:
        with pytest.raises(SystemExit, match=words):
            command(monkeypatch, *arguments)
    store = CheckpointStore(tmp_path / "state" / "checkpoints")
    (store.home(HASH) / "best.json").unlink()
    with pytest.raises(SystemExit, match="nothing was evaluated"):
        command(monkeypatch, "--out", str(tmp_path / "a"), "--best", *state)
    (store.home(HASH) / BASE / "config.json").write_text("{}")
    with pytest.raises(SystemExit, match="was not exported"):
        command(monkeypatch, "--out", str(tmp_path / "a"), *state)


def test_weights_of_another_shape_are_refused(
    tmp_path: Path, trained: Any, make_model: Callable[..., Any], tokenizer: Any
) -> None:
    store = CheckpointStore(tmp_path / "state" / "checkpoints")
    write_base(make_model(num_hidden_layers=3), tokenizer, tmp_path / "other")
    state = store.load_latest(HASH)
    assert state is not None
    with pytest.raises(CheckpointError, match="tensors are missing"):
        export.export_checkpoint(state, tmp_path / "other", tmp_path / "out")


def test_export_loads_with_transformers(tmp_path: Path, make_model: Callable[..., Any], tokenizer: Any) -> None:
    model = make_model()
    export_huggingface(model, tokenizer, tmp_path / "out")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    ids = torch.tensor([[65, 66, 67]])
    with torch.no_grad():
        assert torch.allclose(loaded(ids).logits, model(ids).logits, atol=1e-5)
    assert "rlx" not in (tmp_path / "out" / "config.json").read_text()


def test_export_to_a_place_that_is_a_file(tmp_path: Path, make_model: Callable[..., Any], tokenizer: Any) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="not exported"):
        export_huggingface(make_model(), tokenizer, tmp_path / "file" / "below")
