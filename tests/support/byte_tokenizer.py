"""A tokenizer with one token a byte and the chat template of the tests' random models; made in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

END = "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(tags: Sequence[str] = ()) -> Any:
    """256 bytes, then `tags`, then padding, start and end of a turn."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = {character: number for number, character in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    backend = Tokenizer(models.BPE(vocab=alphabet, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in tags])
    backend.add_special_tokens([AddedToken(text, special=True) for text in ("<|endoftext|>", "<|im_start|>", END)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=END, pad_token="<|endoftext|>", clean_up_tokenization_spaces=False
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast
