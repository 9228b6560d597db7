"""Tokens are drawn with the probabilities of the softmax, top-p and top-k as transformers defines them."""

import pytest
import torch
from transformers import TopKLogitsWarper, TopPLogitsWarper

from swarm_node.sampling import draw

DRAWS = 200_000


def frequencies(logits: torch.Tensor, **options: float) -> torch.Tensor:
    uniforms = torch.rand(DRAWS, generator=torch.Generator().manual_seed(5))
    tokens, _ = draw(logits.expand(DRAWS, -1), uniforms, **options)  # type: ignore[arg-type]
    return torch.bincount(tokens, minlength=logits.shape[-1]).double()


def chi_square_per_degree(counts: torch.Tensor, probabilities: torch.Tensor) -> float:
    kept = probabilities > 0
    assert counts[~kept].sum() == 0
    expected = probabilities[kept].double() * DRAWS
    return float(((counts[kept] - expected) ** 2 / expected).sum() / (kept.sum() - 1))


def test_frequencies_follow_the_softmax() -> None:
    logits = torch.randn(100, generator=torch.Generator().manual_seed(1))
    # 99 degrees of freedom: a right sampler stays below 1.4 with probability 0.995
    assert chi_square_per_degree(frequencies(logits), logits.softmax(-1)) < 1.4


def test_the_check_notices_a_wrong_temperature() -> None:
    logits = torch.randn(100, generator=torch.Generator().manual_seed(1))
    assert chi_square_per_degree(frequencies(logits / 1.05), logits.softmax(-1)) > 1.4


@pytest.mark.parametrize(("top_p", "top_k"), [(0.7, 0), (1.0, 7), (0.6, 20), (0.01, 0), (1.0, 1)])
def test_top_p_and_top_k_are_those_of_transformers(top_p: float, top_k: int) -> None:
    logits = torch.randn(1, 40, generator=torch.Generator().manual_seed(2))
    expected = logits
    if top_k:
        expected = TopKLogitsWarper(top_k)(None, expected)
    if top_p < 1:
        expected = TopPLogitsWarper(top_p)(None, expected)
    probabilities = expected.softmax(-1)[0]
    counts = frequencies(logits[0], top_p=top_p, top_k=top_k)
    if int((probabilities > 0).sum()) == 1:
        assert counts[probabilities.argmax()] == DRAWS
    else:
        assert chi_square_per_degree(counts, probabilities) < 2.2


def test_the_ends_of_the_unit_interval() -> None:
    logits = torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]])
    assert draw(logits, torch.tensor([0.0]))[0].item() == 1
    assert draw(logits, torch.tensor([1.0 - 2**-24]))[0].item() == 2
    assert draw(logits, torch.tensor([1.0]))[0].item() == 2  # what rounding could make of it: still a possible token


def test_a_row_depends_on_its_own_uniform_only() -> None:
    logits = torch.randn(3, 50)
    uniforms = torch.rand(3)
    together = draw(logits, uniforms)[0]
    assert [draw(logits[i : i + 1], uniforms[i : i + 1])[0].item() for i in range(3)] == together.tolist()


def test_logprobs_are_those_of_the_whole_softmax() -> None:
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(3)) * 4
    for uniforms in (torch.linspace(0.05, 0.95, 6), None):
        token, logprob = draw(logits, uniforms, top_p=0.9, top_k=10)
        assert torch.allclose(logprob, logits.log_softmax(-1).gather(1, token[:, None])[:, 0], atol=1e-5)


def test_without_uniforms_the_most_likely_token_is_taken() -> None:
    logits = torch.randn(6, 50, generator=torch.Generator().manual_seed(4))
    assert torch.equal(draw(logits, None)[0], logits.argmax(-1))
