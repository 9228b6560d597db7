"""Generation: greedy equals transformers' `generate`, log-probabilities are right in every row, runs repeat."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from swarm_node import policy as policy_module
from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.policy import Policy

END = 260
PROMPTS = [list(range(65, 65 + n)) for n in (3, 17, 1, 9)]
HYPER = Hyperparameters(max_completion_length=20, num_generations=3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def own_logprobs(model: Any, prompt: list[int], completion: list[int], temperature: float) -> list[float]:
    """Each token's log-probability from one plain forward pass over the whole sequence."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1]
    return (logits / temperature).log_softmax(-1).gather(1, torch.tensor(completion)[:, None])[:, 0].tolist()


def likely_end(model: Any, push: float) -> None:
    """Make the end token more likely, so that rows finish at different times."""
    with torch.no_grad():
        model.lm_head.weight[END] += push * model.lm_head.weight.mean(0) + push * 0.05


@pytest.mark.parametrize(
    "family", ["qwen2", "qwen3", "llama", "mistral", "phi", "phi3", "gemma", "gemma2", "gemma3_text"]
)
def test_greedy_equals_transformers(
    family: str, make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    model = make_model(family)
    groups = Policy(model, tokenizer, cpu, HYPER).generate(PROMPTS, 2, generator(), greedy=True)
    for prompt, completions in zip(PROMPTS, groups, strict=True):
        expected = model.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), do_sample=False, max_new_tokens=20
        )[0, len(prompt) :].tolist()
        assert [completion.ids for completion in completions] == [expected, expected]


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_logprobs_of_every_row_and_token(
    temperature: float, make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    model = make_model()
    hyper = HYPER.model_copy(update={"temperature": temperature})
    groups = Policy(model, tokenizer, cpu, hyper).generate(PROMPTS, 3, generator())
    for prompt, completions in zip(PROMPTS, groups, strict=True):
        for completion in completions:
            assert completion.logprobs == pytest.approx(
                own_logprobs(model, prompt, completion.ids, temperature), abs=2e-4
            )


def test_top_p_does_not_change_the_meaning_of_logprobs(
    make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    model = make_model()
    hyper = HYPER.model_copy(update={"top_p": 0.5, "top_k": 20})
    completion = Policy(model, tokenizer, cpu, hyper).generate(PROMPTS[:1], 1, generator())[0][0]
    assert completion.logprobs == pytest.approx(own_logprobs(model, PROMPTS[0], completion.ids, 1.0), abs=2e-4)


def test_dropping_finished_rows_changes_no_completion(
    make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_model(tie_word_embeddings=False)
    likely_end(model, 1.0)
    policy = Policy(model, tokenizer, cpu, HYPER)
    dropping = policy.generate(PROMPTS, 8, generator(3))
    monkeypatch.setattr(policy_module, "DROP_FINISHED_AT", 2.0)
    keeping = policy.generate(PROMPTS, 8, generator(3))
    lengths = {len(completion.ids) for group in dropping for completion in group}
    assert len(lengths) > 3, "rows must finish at different times for this test to mean something"
    assert [[c.ids for c in group] for group in dropping] == [[c.ids for c in group] for group in keeping]


def test_the_end_token_is_kept_and_the_text_leaves_it_out(
    make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    model = make_model(tie_word_embeddings=False)
    likely_end(model, 1.0)
    completions = [c for group in Policy(model, tokenizer, cpu, HYPER).generate(PROMPTS, 8, generator()) for c in group]
    finished = [c for c in completions if c.finished]
    assert finished
    for completion in completions:
        assert completion.finished == (completion.ids[-1] == END)
        assert END not in completion.ids[:-1]
        assert len(completion.ids) == len(completion.logprobs) <= 20
        assert completion.finished or len(completion.ids) == 20
        assert "<|im_end|>" not in completion.text
        assert completion.text == tokenizer.decode(completion.ids, skip_special_tokens=True)


def test_the_same_generator_state_gives_the_same_completions(
    make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    for family in ("qwen2", "gemma2"):  # the decode loop and the fall-back
        policy = Policy(make_model(family), tokenizer, cpu, HYPER)
        first, second = policy.generate(PROMPTS, 3, generator(1)), policy.generate(PROMPTS, 3, generator(1))
        assert first == second
        assert first != policy.generate(PROMPTS, 3, generator(2))


def test_completions_of_one_prompt_differ(make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice) -> None:
    group = Policy(make_model(), tokenizer, cpu, HYPER).generate(PROMPTS[:1], 8, generator())[0]
    assert len({tuple(completion.ids) for completion in group}) == 8


def test_first_tokens_follow_the_model(make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice) -> None:
    """Through the whole engine, for the second of two prompts: frequencies of the first token."""
    model = make_model()
    count = 20_000
    group = Policy(model, tokenizer, cpu, HYPER).generate(
        [PROMPTS[1], PROMPTS[0]], count, generator(), max_new_tokens=1
    )[1]
    with torch.no_grad():
        expected = model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1].softmax(-1).double() * count
    counts = torch.bincount(torch.tensor([c.ids[0] for c in group]), minlength=261).double()
    common = expected > 5
    degrees = int(common.sum())
    assert degrees > 5
    assert float(((counts - expected)[common] ** 2 / expected[common]).sum()) / degrees < 2.0


def test_bfloat16_stays_near_float32(make_model: Callable[..., Any], tokenizer: Any) -> None:
    model = make_model()
    choice = DeviceChoice(torch.device("cpu"), torch.bfloat16, 1)
    group = Policy(model, tokenizer, choice, HYPER).generate(PROMPTS[:1], 2, generator())[0]
    for completion in group:
        exact = torch.tensor(own_logprobs(model, PROMPTS[0], completion.ids, 1.0))
        assert float((exact - torch.tensor(completion.logprobs)).abs().mean()) < 0.3


def test_an_empty_prompt_is_refused(make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice) -> None:
    policy = Policy(make_model(), tokenizer, cpu, HYPER)
    assert policy.generate([], 2, generator()) == []
    with pytest.raises(ValueError, match="no tokens"):
        policy.generate([[1], []], 2, generator())
