"""Hyperparameters carry TRL's names, refuse nonsense, and the presets are those that were measured."""

import pytest
from pydantic import ValidationError

from swarm_node.hyper import Hyperparameters, default_hyperparameters

OURS = {"num_questions", "num_external", "micro_batch_tokens", "stop_strings"}


def test_embedded_preset() -> None:
    preset = default_hyperparameters("embedded")
    assert (preset.num_questions, preset.num_generations, preset.num_external) == (8, 8, 4)
    assert (preset.learning_rate, preset.max_completion_length, preset.temperature) == (3e-4, 16, 1.0)


def test_default_preset_is_upstreams() -> None:
    preset = default_hyperparameters("Qwen/Qwen3-0.6B")
    assert (preset.num_questions, preset.num_generations, preset.num_external) == (2, 2, 2)
    assert (preset.learning_rate, preset.max_completion_length) == (1e-5, 256)
    assert (preset.epsilon, preset.epsilon_high, preset.beta, preset.num_iterations) == (0.2, 0.28, 0.0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"num_generations": 1},
        {"temperature": 0},
        {"top_p": 0},
        {"top_p": 1.1},
        {"loss_type": "sapo"},
        {"epsilon": 0.3},  # above epsilon_high
        {"learning_rate": -1},
        {"max_grad_norm": 0},
        {"learning_rat": 1e-5},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Hyperparameters.model_validate(wrong)


def test_names_are_trls() -> None:
    from trl import GRPOConfig

    assert set(Hyperparameters.model_fields) - OURS <= set(GRPOConfig.__dataclass_fields__)
