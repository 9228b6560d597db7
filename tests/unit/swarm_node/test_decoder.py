"""The written-out decode step gives the logits of the model itself, and is refused for models it does not know."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from swarm_node import decoder
from swarm_node.decoder import Matrix
from swarm_node.kv_cache import preallocated_cache, take_rows

CAPACITY = 24
PROMPTS = [[70, 71, 72, 73, 74], [80, 81]]


def prefilled(model: Any, dtype: torch.dtype) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Cache of two left-padded prompts, three rows each; pads and visible slots of the six rows."""
    width = max(map(len, PROMPTS))
    pads = torch.tensor([width - len(ids) for ids in PROMPTS])
    ids = torch.tensor([[0] * (width - len(ids)) + ids for ids in PROMPTS])
    slots = torch.arange(width)
    mask = (slots[:, None] >= slots) & (slots >= pads[:, None])[:, None] | (slots[:, None] == slots)
    cache = preallocated_cache(model.config.num_hidden_layers, CAPACITY, dtype)
    positions = (slots - pads[:, None]).clamp(min=0)
    model(input_ids=ids, position_ids=positions, attention_mask=mask[:, None], past_key_values=cache, use_cache=True)
    take_rows(cache, torch.tensor([0, 0, 0, 1, 1, 1]))
    pads = pads.repeat_interleave(3)
    return cache, pads, torch.arange(CAPACITY) >= pads[:, None]


@torch.no_grad()
@pytest.mark.parametrize("fuse_below", [0, 10**9])
@pytest.mark.parametrize("family", sorted(decoder.MODEL_TYPES))
def test_logits_are_the_models(
    family: str, fuse_below: int, make_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder, "FUSE_BELOW", fuse_below)
    model = make_model(family)
    caches = [prefilled(model, torch.float32) for _ in range(2)]
    (ours, pads, visible), (theirs, _, _) = caches
    made = decoder.make(model, torch.float32, CAPACITY)
    assert made is not None
    width = max(map(len, PROMPTS))
    for step in range(6):
        token = torch.arange(90, 96) + step
        shown = visible[:, None, None, : width + step + 1]
        expected = model(
            input_ids=token[:, None],
            position_ids=(width + step - pads)[:, None],
            attention_mask=shown,
            past_key_values=theirs,
            use_cache=True,
        ).logits[:, -1]
        added = torch.zeros(shown.shape).masked_fill(~shown, float("-inf"))
        logits = made.step(token, width + step - pads, added, ours)
        assert torch.allclose(logits, expected, atol=2e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(
    ("family", "overrides"),
    [
        ("gemma", {}),
        ("qwen2", {"hidden_act": "gelu"}),
        ("llama", {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}}),
        ("qwen2", {"dtype": torch.float64}),
    ],
)
def test_other_builds_are_left_to_the_model(
    family: str, overrides: dict[str, Any], make_model: Callable[..., Any]
) -> None:
    assert decoder.make(make_model(family, **overrides), torch.float32, CAPACITY) is None


@pytest.mark.parametrize("rows", [4, 8, 24, 40])
def test_both_orientations_of_a_product(rows: int) -> None:
    weight, bias, states = torch.randn(1200, 600), torch.randn(1200), torch.randn(rows, 600)
    assert torch.allclose(Matrix(weight, bias)(states), states @ weight.T + bias, atol=1e-3)
