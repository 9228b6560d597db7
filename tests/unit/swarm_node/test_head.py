"""The chunked head gives the values and gradients of the plain one, whatever the chunk."""

import pytest
import torch

from swarm_node import head
from swarm_node.head import selected_logprobs


def plain(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    return (hidden @ weight.T / temperature).log_softmax(-1).gather(1, targets[:, None])[:, 0]


@pytest.mark.parametrize("elements", [1, 45, 10_000])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_values_and_gradients(elements: int, temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "CHUNK_ELEMENTS", elements)
    hidden = torch.randn(11, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(15, 6, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(15, (11,))
    upstream = torch.randn(11, dtype=torch.float64)
    expected = plain(hidden, weight, targets, temperature)
    wanted = torch.autograd.grad(expected, [hidden, weight], upstream)
    logprobs, entropy = selected_logprobs(hidden, weight, targets, temperature)
    got = torch.autograd.grad(logprobs, [hidden, weight], upstream)
    assert torch.allclose(logprobs, expected, rtol=1e-12)
    assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(got, wanted, strict=True))
    distribution = torch.distributions.Categorical(logits=(hidden @ weight.T / temperature).detach())
    assert torch.allclose(entropy, distribution.entropy(), rtol=1e-10)
    assert not entropy.requires_grad


def test_bfloat16_hidden_states_give_float32_logprobs_and_weight_gradients() -> None:
    hidden = torch.randn(4, 6).bfloat16().requires_grad_()
    weight = torch.randn(9, 6, requires_grad=True)
    targets = torch.randint(9, (4,))
    logprobs, _ = selected_logprobs(hidden, weight, targets, 1.0)
    logprobs.sum().backward()
    assert logprobs.dtype is torch.float32
    assert weight.grad is not None
    assert weight.grad.dtype is torch.float32
    assert torch.allclose(logprobs, plain(hidden.float(), weight, targets, 1.0), atol=0.1)


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden = torch.randn(4, 6, requires_grad=True)
    weight = torch.randn(9, 6)
    selected_logprobs(hidden, weight, torch.zeros(4, dtype=torch.long), 1.0)[0].sum().backward()
    assert hidden.grad is not None
    assert weight.grad is None
