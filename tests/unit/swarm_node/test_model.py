"""Which model a setting means, and clear refusals of what cannot be loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from swarm_core.errors import ConfigError
from swarm_node import attention, model
from swarm_node.device import DeviceChoice
from swarm_node.export import export_huggingface

GIB = 1024**3


def gpu(gibibytes: int) -> DeviceChoice:
    return DeviceChoice(torch.device("cuda", 0), torch.bfloat16, 4, gibibytes * GIB)


def test_auto_follows_the_hardware(cpu: DeviceChoice) -> None:
    assert model.resolve_name("auto", cpu) == "embedded"
    assert {model.resolve_name("auto", gpu(80), str(i)) for i in range(40)} == set(model.LARGE_MODELS)
    assert {model.resolve_name("auto", gpu(40), str(i)) for i in range(40)} == set(model.LARGE_MODELS)
    assert {model.resolve_name("auto", gpu(24), str(i)) for i in range(40)} == set(model.SMALL_MODELS)
    assert model.resolve_name("auto", gpu(24), "a") == model.resolve_name("auto", gpu(24), "a")
    assert model.resolve_name("Qwen/Qwen3-0.6B", cpu) == "Qwen/Qwen3-0.6B"


@pytest.fixture
def directory(tmp_path: Path, make_model: Callable[..., Any], tokenizer: Any) -> Path:
    export_huggingface(make_model("llama"), tokenizer, tmp_path / "model")
    return tmp_path / "model"


def test_a_directory_is_loaded_in_float32_on_our_attention(directory: Path, cpu: DeviceChoice) -> None:
    loaded = model.load(str(directory), cpu)
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    assert loaded.model.config._attn_implementation == attention.NAME
    assert not loaded.model.training
    assert loaded.tokenizer("ab")["input_ids"] == [64, 65]
    assert loaded.parameters == sum(parameter.numel() for parameter in loaded.model.parameters())


def test_identity_changes_with_the_weights(directory: Path, cpu: DeviceChoice) -> None:
    first = model.load(str(directory), cpu)
    assert model.load(str(directory), cpu).identity == first.identity
    with torch.no_grad():
        first.model.model.norm.weight.add_(1)
    first.model.save_pretrained(directory)
    assert model.load(str(directory), cpu).identity != first.identity


@pytest.mark.parametrize("name", ["/nowhere/model", "./nowhere", "../nowhere", "~/nowhere", "a/b/c"])
def test_a_path_that_does_not_exist(name: str, cpu: DeviceChoice) -> None:
    with pytest.raises(ConfigError, match=r"not a directory with a config\.json.*Remedy: mount the model"):
        model.load(name, cpu)


def test_a_directory_without_model(tmp_path: Path, cpu: DeviceChoice) -> None:
    with pytest.raises(ConfigError, match=r"not a directory with a config\.json"):
        model.load(str(tmp_path), cpu)


def test_a_hub_name_that_is_not_cached_offline(tmp_path: Path, cpu: DeviceChoice) -> None:
    with pytest.raises(ConfigError, match="cannot be loaded"):
        model.load("nobody/no-such-model", cpu, cache_directory=tmp_path, local_files_only=True)


def test_a_damaged_config(directory: Path, cpu: DeviceChoice) -> None:
    (directory / "config.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        model.load(str(directory), cpu)


def test_damaged_weights(directory: Path, cpu: DeviceChoice) -> None:
    (directory / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        model.load(str(directory), cpu)


def test_missing_weights(directory: Path, cpu: DeviceChoice) -> None:
    weights = load_file(directory / "model.safetensors")
    weights.pop("model.norm.weight")
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ConfigError, match="lack 1 tensors"):
        model.load(str(directory), cpu)


def test_the_embedded_model_is_there(cpu: DeviceChoice) -> None:
    loaded = model.load("embedded", cpu)
    assert 700_000 < loaded.parameters < 1_000_000
    assert loaded.model.config._attn_implementation == attention.NAME
