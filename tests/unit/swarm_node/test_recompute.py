"""Less is kept of a forward pass, products are not made twice, and the gradients are the same bit for bit."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.unit.swarm_node.test_train import HYPER, groups
from torch.utils._python_dispatch import TorchDispatchMode

from swarm_node import recompute
from swarm_node.device import DeviceChoice
from swarm_node.memory import estimate
from swarm_node.train import Trainer

FAMILIES = ("qwen2", "qwen3", "llama", "mistral", "phi", "phi3", "gemma", "gemma3_text")


class Calls(TorchDispatchMode):
    """Counts the operations that are carried out."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[str] = Counter()

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.made[str(operation)] += 1
        return operation(*args, **(kwargs or {}))


def train(model: Any, cpu: DeviceChoice, recomputes: bool) -> tuple[Any, Counter[str]]:
    """A step with micro-batches that cut a group; the model afterwards, and what was computed."""
    model = copy.deepcopy(model)
    trainer = Trainer(model, HYPER.model_copy(update={"micro_batch_tokens": 30}), cpu)
    trainer.recomputes = recomputes
    with Calls() as calls:
        trainer.step(groups(old=True))
    return model, calls.made


@pytest.mark.parametrize("family", FAMILIES)
def test_the_step_is_the_same(family: str, make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model(family)
    plain, lean = train(model, cpu, False)[0], train(model, cpu, True)[0]
    for (name, one), two in zip(plain.named_parameters(), lean.parameters(), strict=True):
        assert torch.equal(one, two), name


def test_products_are_made_once(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model()
    (_, plain), (_, lean) = train(model, cpu, False), train(model, cpu, True)
    products = ("aten.mm.default", "aten.addmm.default", "aten._scaled_dot_product_flash_attention_for_cpu.default")
    assert {name: lean[name] for name in products} == {name: plain[name] for name in products}
    assert lean["aten.silu.default"] == 2 * plain["aten.silu.default"] > 0


def test_layers_are_left_as_they_were(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = train(make_model(), cpu, True)[0]
    assert not any("forward" in vars(layer) for layer in model.base_model.layers)


def test_wanted_for_large_models_on_a_cpu(
    make_model: Callable[..., Any], cpu: DeviceChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model()
    assert not recompute.wanted(model, cpu)
    monkeypatch.setattr(recompute, "LARGE_MODEL_PARAMETERS", 1000)
    assert recompute.wanted(model, cpu)
    assert not recompute.wanted(model, DeviceChoice(torch.device("cuda", 0), None, 1))


def test_the_estimate_knows(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model()
    plain, lean = (estimate(model, HYPER, cpu, 50, 0, recomputes).activation for recomputes in (False, True))
    assert lean < 0.7 * plain
