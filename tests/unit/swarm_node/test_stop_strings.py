"""Stop strings: a row ends with the token that completes one, in the decode loop and in the fall-back; text is cut at
the string, and ids, log-probabilities and what peers are offered stay consistent."""

import re
from collections.abc import Callable
from itertools import chain
from typing import Any

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from swarm_node import policy as policy_module
from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.policy import Completion, Policy
from swarm_node.round import Rollout
from swarm_node.stop_strings import StopStrings
from swarm_node.tasks import TaskSet

PROMPTS = [list(range(65, 65 + n)) for n in (3, 17, 1, 9)]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


@pytest.fixture(scope="module")
def merging() -> Any:
    """A tokenizer with tokens of several letters: `ab`, `>\\n`, and the bytes of a character of their own."""
    alphabet = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    line = letters[[*map(str, letters)].index("Ċ")]
    vocabulary = alphabet | {"ab": 256, ">" + line: 257}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[("a", "b"), (">", line)]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(t, special=True) for t in ("<|endoftext|>", "<|im_end|>")])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>", clean_up_tokenization_spaces=False
    )


@pytest.mark.parametrize("family", ["qwen2", "phi3", "gemma2"])  # written-out decode, the model's own, the fall-back
def test_rows_are_those_without_stop_strings_cut_short(
    family: str, make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice
) -> None:
    model = make_model(family)
    plain = Hyperparameters(max_completion_length=24)
    free = Policy(model, tokenizer, cpu, plain).generate(PROMPTS, 4, generator())
    # two letters, two tokens; one from the rows of each of two prompts
    stops = tuple(re.findall("[!-~]{2}", " ".join(c.text[4:] for c in group))[0] for group in (free[1], free[3]))
    stopping = plain.model_copy(update={"stop_strings": stops})
    got = Policy(model, tokenizer, cpu, stopping).generate(PROMPTS, 4, generator())
    seen = 0
    for before, after in zip(chain.from_iterable(free), chain.from_iterable(got), strict=True):
        ends = [place + len(stop) for stop in stops if (place := before.text.find(stop)) >= 0]
        if not ends:
            assert after == before
            continue
        seen += 1
        assert after.text == before.text[: min(ends)]
        assert after.text.endswith(stops)
        assert after.finished
        assert after.whole
        assert after.ids == before.ids[: len(after.ids)]
        assert tokenizer.decode(after.ids, skip_special_tokens=True) == after.text
        assert not any(stop in tokenizer.decode(after.ids[:-1], skip_special_tokens=True) for stop in stops)
        assert after.logprobs == pytest.approx(before.logprobs[: len(after.ids)], abs=1e-5)
    assert seen >= 2


def test_the_loop_ends_with_the_last_row_not_at_the_limit(
    make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every letter is a stop string, so one step ends every row whose token is text."""
    steps = []
    draw = policy_module.draw
    monkeypatch.setattr(policy_module, "draw", lambda *args: steps.append(1) or draw(*args))
    hyper = Hyperparameters(max_completion_length=200, stop_strings=tuple("abcdefgh"))
    groups = Policy(make_model(), tokenizer, cpu, hyper).generate(PROMPTS, 8, generator())
    assert len(steps) == max(len(c.ids) for group in groups for c in group) < 200


def test_rows_seen_late_are_cut_all_the_same(
    make_model: Callable[..., Any], tokenizer: Any, cpu: DeviceChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on CUDA, where rows are looked at every eighth step only."""
    model = make_model()
    hyper = Hyperparameters(max_completion_length=30, stop_strings=("e", "f", "g"))
    every_step = Policy(model, tokenizer, cpu, hyper).generate(PROMPTS, 6, generator())
    monkeypatch.setattr(policy_module, "CPU_CHECK_EVERY", 8)
    assert Policy(model, tokenizer, cpu, hyper).generate(PROMPTS, 6, generator()) == every_step


def test_a_string_that_ends_inside_a_token(merging: Any) -> None:
    stops = StopStrings(merging, ["x>", "ba"])
    ids = merging("yx>\nz")["input_ids"]
    assert stops.ended([ids[:1], ids[:2], ids[:3]]) == [False, False, True]
    assert stops.cut(ids) == (3, "yx>")
    assert merging.decode(ids[:3]) == "yx>\n"
    assert stops.cut(merging("ab")["input_ids"]) is None
    assert stops.cut(merging("abab")["input_ids"]) == (2, "aba")


def test_characters_of_several_tokens_special_tokens_and_late_looks(merging: Any) -> None:
    stops = StopStrings(merging, ["é!"])
    ids = merging("aé!")["input_ids"]
    assert len(ids) == 4
    assert [stops.cut(ids[:n]) for n in range(1, 5)] == [None, None, None, (4, "aé!")]
    special = merging.pad_token_id
    assert stops.ended([[*ids[:2], special, *ids[2:]]]) == [True]
    assert stops.ended([[*ids, *[65] * 7]], new=8) == [True]
    assert stops.ended([[7] * 400 + ids, ids[:3]]) == [True, False]
    assert not StopStrings(merging, ())
    assert StopStrings(merging, ["<|im_end|>"]).cut([65, merging.eos_token_id]) is None, "special tokens are no text"


def test_peers_get_log_probabilities_only_of_tokens_that_the_text_makes() -> None:
    task = TaskSet.load("embedded").sample("s", "", 0, 1)[0]
    whole = Completion([1, 2], [-0.5, -0.25], "ab", True)
    cut = Completion([1, 2], [-0.5, -0.25], "a", True, whole=False)
    assert Rollout(task, [5], [whole, whole], [0.0, 1.0]).as_sampled_group("f" * 64, 1.0).logprobs is not None
    assert Rollout(task, [5], [whole, cut], [0.0, 1.0]).as_sampled_group("f" * 64, 1.0).logprobs is None
