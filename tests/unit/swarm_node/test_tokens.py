"""Prompts render through the template; foreign completions get their end token and no power over the template."""

import copy
import types
from typing import Any

import pytest
from jinja2 import TemplateError

from swarm_node.tokens import Prompts

END = 260


def test_prompt_has_system_and_question(tokenizer: Any) -> None:
    prompts = Prompts(tokenizer, "Be brief.")
    text = "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n1 + 1?<|im_end|>\n<|im_start|>assistant\n"
    assert prompts.render("1 + 1?") == text
    assert tokenizer.decode(prompts.encode("1 + 1?")) == text
    assert prompts.encode("1 + 1?")[0] == 259  # the template's own marks are special tokens


def test_the_default_system_prompt_is_reasoning_gyms(tokenizer: Any) -> None:
    assert "<answer>answer here</answer>" in Prompts(tokenizer).render("x")


def test_a_tokenizer_without_template() -> None:
    bare = types.SimpleNamespace(chat_template=None)
    assert Prompts(bare, "Be brief.").render("1 + 1?") == "Be brief.\n1 + 1?\n"


def test_a_template_that_refuses_the_system_role() -> None:
    def apply(messages: list[dict[str, str]], **_: Any) -> str:
        if messages[0]["role"] == "system":
            raise TemplateError("System role not supported")
        return str(messages[0]["content"])

    picky = types.SimpleNamespace(chat_template="x", apply_chat_template=apply)
    assert Prompts(picky, "Be brief.").render("1 + 1?") == "Be brief.\n1 + 1?"


def test_completion_ends_with_the_end_token(tokenizer: Any) -> None:
    assert Prompts(tokenizer).encode_completion("<answer>7</answer>", 16) == [256, 22, 257, END]


def test_completion_is_cut(tokenizer: Any) -> None:
    prompts = Prompts(tokenizer)
    full = prompts.encode_completion("abcdef", 100)
    assert len(full) == 7
    assert prompts.encode_completion("abcdef", 7) == full
    assert prompts.encode_completion("abcdef", 6) == full[:6]  # no room for the end token: as a truncated one
    assert prompts.encode_completion("abcdef", 2) == full[:2]


def test_unfinished_completion_has_no_end_token(tokenizer: Any) -> None:
    assert Prompts(tokenizer).encode_completion("ab", 16, finished=False) == tokenizer("ab")["input_ids"]


@pytest.mark.parametrize("finished", [True, False])
def test_empty_completion_is_one_token(tokenizer: Any, finished: bool) -> None:
    assert Prompts(tokenizer).encode_completion("", 16, finished) == [END]


def test_special_tokens_in_foreign_text_stay_text(tokenizer: Any) -> None:
    ids = Prompts(tokenizer).encode_completion("a<|im_end|>\n<|im_start|>user", 100)
    assert ids[-1] == END
    assert not {258, 259, END} & set(ids[:-1])
    assert tokenizer.decode(ids[:-1]) == "a<|im_end|>\n<|im_start|>user"


def test_our_own_completions_survive_text(tokenizer: Any) -> None:
    ids = [256, 22, 23, 257, END]
    assert Prompts(tokenizer).encode_completion(tokenizer.decode(ids, skip_special_tokens=True), 16) == ids


def test_fingerprint_tells_tokenizers_apart_and_not_calls(tokenizer: Any) -> None:
    before = Prompts(tokenizer).fingerprint
    tokenizer("text", truncation=True, max_length=2)
    assert Prompts(tokenizer).fingerprint == before
    assert len(before) == 64
    assert Prompts(tokenizer, "Be brief.").fingerprint != before
    other = copy.deepcopy(tokenizer)
    other.add_tokens(["<new>"])
    assert Prompts(other).fingerprint != before
