"""Text to token ids and back: prompts through the model's chat template, completions with their end token.

Works with `policy` (prompts in, completions out) and with external groups, whose text is encoded here anew.
"""

import hashlib
import json
from functools import cached_property
from typing import Any

from reasoning_gym.utils import SYSTEM_PROMPTS


class Prompts:
    """Encodes questions and foreign completions with one tokenizer."""

    def __init__(self, tokenizer: Any, system_prompt: str | None = None) -> None:
        self._tokenizer = tokenizer
        self._system_prompt: str = SYSTEM_PROMPTS["default"] if system_prompt is None else system_prompt

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what turns a question and its completion into tokens, the system prompt and template
        included; peers with the same one can share log-probabilities."""
        parts: dict[str, Any] = {
            "system": self._system_prompt,
            "template": self._tokenizer.chat_template,
            "end": self._tokenizer.eos_token_id,
        }
        backend = getattr(self._tokenizer, "backend_tokenizer", None)
        if backend is None:
            parts["vocabulary"] = self._tokenizer.get_vocab()
        else:
            state = json.loads(backend.to_str())  # without padding and truncation, which calls change
            parts |= {name: state.get(name) for name in ("normalizer", "pre_tokenizer", "model", "added_tokens")}
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def encode(self, question: str) -> list[int]:
        """Token ids of the prompt that asks `question`, ready for generation."""
        text = self.render(question)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def render(self, question: str) -> str:
        """The prompt as text: chat template with a system turn, or plain text for a base model without template.

        A template may render nothing for the system turn (the embedded model's does); one that refuses the role
        (Gemma) gets the system text in front of the question.
        """
        if not self._tokenizer.chat_template:
            return f"{self._system_prompt}\n{question}\n"
        system = {"role": "system", "content": self._system_prompt}
        user = {"role": "user", "content": question}
        from jinja2 import TemplateError

        try:
            return self._apply([system, user])
        except TemplateError:
            return self._apply([{"role": "user", "content": f"{self._system_prompt}\n{question}"}])

    def _apply(self, messages: list[dict[str, str]]) -> str:
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def encode_completion(self, text: str, max_tokens: int, finished: bool = True) -> list[int]:
        """Token ids of a completion that came as text, at most `max_tokens`, never empty.

        The end token is appended when the completion was `finished` and there is room, so that stopping is learnt.
        Special tokens spelt out in the text stay plain text: a peer cannot open a turn of its own.
        """
        ids = list(self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])[:max_tokens]
        if (finished and len(ids) < max_tokens) or not ids:
            ids.append(int(self._tokenizer.eos_token_id))
        return ids
