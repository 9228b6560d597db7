"""The embedded model's tokenizer: a byte-level BPE of about 500 tokens, trained on task prompts.

Trap: for `model_type: qwen2`, transformers' AutoTokenizer builds a Qwen2Tokenizer, which ignores the pre-tokenizer
stored in tokenizer.json and puts Qwen2's own in its place. A BPE trained with any other pre-tokenizer then yields other
ids after a reload, silently. So this one is trained with Qwen2's normalizer and pre-tokenizer, taken from the class;
`tests/unit/swarm_node/models/test_embedded.py` compares the ids before and after a reload.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers import models as bpe_models
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import Qwen2Tokenizer

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
MAX_VOCABULARY = 512

# ChatML that renders nothing for the system role: reasoning-gym's system prompt is three times as long as a question,
# and a model of this size learns the format from its warm-up, not from instructions.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}{%- if message['role'] != 'system' -%}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' -}}"
    "{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def build_tokenizer(texts: Iterable[str]) -> Any:
    """A Qwen2Tokenizer trained on `texts`; digits are single tokens, any text can be encoded.

    `<answer>`, `</answer>`, `<think>`, `</think>` are added tokens that are not special, so they survive
    `skip_special_tokens`. End of sequence is `<|im_end|>`, padding `<|endoftext|>`, on the left.
    """
    qwen2 = Qwen2Tokenizer().backend_tokenizer
    trained = Tokenizer(bpe_models.BPE())
    trained.normalizer, trained.pre_tokenizer = qwen2.normalizer, qwen2.pre_tokenizer
    trainer = BpeTrainer(
        vocab_size=MAX_VOCABULARY - len(TAGS) - 3,
        min_frequency=2,
        initial_alphabet=sorted(ByteLevel.alphabet()),
        show_progress=False,
    )
    trained.train_from_iterator(texts, trainer)
    model = json.loads(trained.to_str())["model"]
    tokenizer = Qwen2Tokenizer(
        vocab=model["vocab"],
        merges=[tuple(pair) for pair in model["merges"]],
        unk_token=END_OF_TEXT,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        padding_side="left",
        additional_special_tokens=[TURN_START],
        chat_template=CHAT_TEMPLATE,
    )
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    return tokenizer
