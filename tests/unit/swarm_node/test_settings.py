"""Settings of the worker: presets by model, what the operator set wins, contradictions and bad values are named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarm_core.errors import ConfigError
from swarm_core.settings import load
from swarm_node.hyper import Hyperparameters, default_hyperparameters
from swarm_node.settings import NodeSettings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.upper().startswith("SWARM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SWARM_RUN_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("SWARM_STATE_DIR", str(tmp_path / "state"))


@pytest.mark.parametrize("model", ["embedded", "org/model"])
def test_the_preset_of_the_model(model: str) -> None:
    assert load(NodeSettings).hyperparameters(model) == default_hyperparameters(model)


def test_what_is_set_wins_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_NUM_GENERATIONS", "16")
    monkeypatch.setenv("SWARM_NUM_EXTERNAL", "0")  # nought is a value
    monkeypatch.setenv("SWARM_LEARNING_RATE", "0")
    expected = default_hyperparameters("embedded").model_copy(
        update={"num_generations": 16, "num_external": 0, "learning_rate": 0.0}
    )
    assert load(NodeSettings).hyperparameters("embedded") == expected


@pytest.mark.parametrize(
    ("value", "strings"),
    [("</answer>", ("</answer>",)), ('["</answer>", "\\n\\n"]', ("</answer>", "\n\n")), ("", ()), ("[]", ())],
)
def test_stop_strings(monkeypatch: pytest.MonkeyPatch, value: str, strings: tuple[str, ...]) -> None:
    monkeypatch.setenv("SWARM_STOP_STRINGS", value)
    hyper = load(NodeSettings).hyperparameters("embedded")
    assert hyper.stop_strings == strings
    assert ("stop_strings" in hyper.identity()) == bool(strings), "nodes of 0.1.0 resume only with the hash they had"


def test_a_contradiction_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_EPSILON", "0.5")
    with pytest.raises(ConfigError, match=r"^epsilon_high \(0.28\) must not be below epsilon \(0.5\)"):
        load(NodeSettings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NODE_NAME", "Two words"),
        ("NUM_GENERATIONS", "1"),
        ("NUM_GENERATIONS", "abc"),
        ("TEMPERATURE", "0"),
        ("TOP_P", "1.5"),
        ("STOP_STRINGS", '["a'),
        ("STOP_STRINGS", '[""]'),
        ("STOP_STRINGS", "[1]"),
        ("DEVICE", "tpu"),
        ("EXCHANGE_SECONDS", "0"),
        ("LOSS_TYPE", "ppo"),
        ("RPC_URL", "chain:8545"),
        ("COORDINATOR", "0x12"),
    ],
)
def test_a_bad_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"SWARM_{name}", value)
    with pytest.raises(ConfigError, match=f"SWARM_{name}") as caught:
        load(NodeSettings)
    assert value in caught.value.message


def test_every_hyperparameter_for_operators_has_a_setting() -> None:
    fixed = {"adam_beta1", "adam_beta2", "adam_epsilon", "micro_batch_tokens"}
    assert set(Hyperparameters.model_fields) - fixed <= set(NodeSettings.model_fields)


def test_both_directories_are_made(tmp_path: Path) -> None:
    load(NodeSettings)
    assert (tmp_path / "run").is_dir()
    assert (tmp_path / "state").is_dir()
