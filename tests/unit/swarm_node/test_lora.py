"""LoRA: only adapters are trained, and an export has the plain model's names and outputs."""

import copy
from collections.abc import Callable
from typing import Any

import torch

from swarm_node import decoder, lora
from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.packing import TrainingGroup
from swarm_node.policy import Policy
from swarm_node.train import Trainer

GROUP = TrainingGroup([70, 71, 72], [[80, 81, 82], [90, 91]], [1.0, -1.0])
IDS = torch.tensor([[70, 71, 72, 80, 81]])


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        output: torch.Tensor = model(input_ids=IDS).logits
    return output


def test_fresh_adapters_change_nothing_and_a_step_trains_only_them(
    make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    model, plain = make_model(), make_model()
    lora.inject(model, 4)
    assert torch.equal(logits(model), logits(plain))
    before = copy.deepcopy(model.state_dict())
    hyper = Hyperparameters(learning_rate=1e-2, max_completion_length=5)
    assert Trainer(model, hyper, cpu).step([GROUP]).optimizer_steps == 1
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all(".lora_" in name for name in changed)
    assert decoder.make(model, torch.float32, 16) is None, "its steps must see the adapters"
    (completions,) = Policy(model, tokenizer, cpu, hyper).generate([[70, 71]], 2, torch.Generator())
    assert len(completions) == 2


def test_merged_weights_are_the_plain_models(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model(tie_word_embeddings=False)
    lora.inject(model, 4)
    trainer = Trainer(model, Hyperparameters(learning_rate=1e-2), cpu)
    for _ in range(3):
        trainer.step([GROUP])
    plain = make_model(tie_word_embeddings=False)
    untrained = logits(plain)
    weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
    assert plain.load_state_dict(lora.merged(weights)).unexpected_keys == []
    assert not torch.allclose(logits(model), untrained, atol=1e-2)
    assert torch.allclose(logits(plain), logits(model), rtol=1e-4, atol=1e-4 * float(untrained.abs().max()))


def test_weights_without_adapters_stay_as_they_are() -> None:
    weights = {"model.norm.weight": torch.ones(2), "model.layers.0.mlp.up_proj.bias": torch.zeros(2)}
    assert lora.merged(weights).keys() == weights.keys()
