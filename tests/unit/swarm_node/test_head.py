"""The one-pass head gives the values and gradients of the plain computation, whatever the chunk and the objective."""

import pytest
import torch

from swarm_node import head
from swarm_node.head import score


def plain(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    return (hidden @ weight.T / temperature).log_softmax(-1).gather(1, targets[:, None])[:, 0]


@pytest.mark.parametrize("positions", [1, 4, 100])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
@pytest.mark.parametrize("with_bias", [False, True])
def test_values_and_gradients(
    positions: int, temperature: float, with_bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "CHUNK_ELEMENTS", 1)
    monkeypatch.setattr(head, "CHUNK_POSITIONS", positions)
    hidden = torch.randn(11, 6, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(15, 6, dtype=torch.float64, requires_grad=True)
    bias = torch.randn(15, dtype=torch.float64, requires_grad=True) if with_bias else None
    inputs = [hidden, weight, *([bias] if bias is not None else [])]
    targets = torch.randint(15, (11,))
    factors = torch.randn(11, dtype=torch.float64)

    def objective(logprobs: torch.Tensor, where: slice) -> torch.Tensor:
        return (logprobs * 0.3).exp() * factors[where]  # not linear, as a ratio is not

    logits = hidden @ weight.T + (0 if bias is None else bias)
    expected = (logits / temperature).log_softmax(-1).gather(1, targets[:, None])[:, 0]
    total = objective(expected, slice(None)).sum()
    wanted = torch.autograd.grad(total * 3, inputs)
    scored = score(hidden, weight, bias, targets, temperature, objective)
    got = torch.autograd.grad(scored.loss * 3, inputs)
    assert torch.allclose(scored.loss, total, rtol=1e-12)
    assert torch.allclose(scored.logprobs, expected, rtol=1e-12)
    assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(got, wanted, strict=True))
    distribution = torch.distributions.Categorical(logits=(logits / temperature).detach())
    assert torch.allclose(scored.entropy, distribution.entropy(), rtol=1e-10)
    assert not scored.entropy.requires_grad
    assert not scored.logprobs.requires_grad


def test_bfloat16_hidden_states_give_float32_logprobs_and_weight_gradients() -> None:
    hidden = torch.randn(4, 6).bfloat16().requires_grad_()
    weight = torch.randn(9, 6, requires_grad=True)
    targets = torch.randint(9, (4,))
    scored = score(hidden, weight, None, targets, 1.0, lambda logprobs, _: logprobs)
    scored.loss.backward()  # type: ignore[no-untyped-call]
    assert scored.logprobs.dtype is torch.float32
    assert weight.grad is not None
    assert weight.grad.dtype is torch.float32
    assert torch.allclose(scored.logprobs, plain(hidden.float(), weight, targets, 1.0), atol=0.1)


def test_a_frozen_head_gets_no_gradient() -> None:
    hidden = torch.randn(4, 6, requires_grad=True)
    weight = torch.randn(9, 6)
    scored = score(hidden, weight, None, torch.zeros(4, dtype=torch.long), 1.0, lambda logprobs, _: logprobs)
    scored.loss.backward()  # type: ignore[no-untyped-call]
    assert hidden.grad is not None
    assert weight.grad is None


def test_without_objective_nothing_is_differentiated() -> None:
    hidden, weight, targets = torch.randn(4, 6), torch.randn(9, 6, requires_grad=True), torch.tensor([0, 3, 8, 1])
    scored = score(hidden, weight, None, targets, 1.0, None)
    assert torch.allclose(scored.logprobs, plain(hidden, weight, targets, 1.0), atol=1e-6)
    assert float(scored.loss.detach()) == 0.0
