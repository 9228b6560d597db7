"""What both trainers work on: random models of two shapes, a tokenizer trained from text, prompts, completions.

Everything is made here, in a cache directory; nothing is downloaded. Prompts are reasoning-gym questions of the
task set that upstream trains on, completions are text cut to exact token counts.
"""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEXT_BYTES = 12_000_000
TOKENS = 8192
MAX_PROMPT_TOKENS = 300
PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"


@dataclass(frozen=True)
class Shape:
    """A Qwen2 with tied embeddings."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    intermediate: int
    vocabulary: int

    @property
    def block_parameters(self) -> int:
        """Weights of all layers that every token is multiplied with."""
        head = self.hidden // self.heads
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * self.kv_heads * head
        return self.layers * (attention + 3 * self.hidden * self.intermediate)

    @property
    def head_parameters(self) -> int:
        """Weights of the language-model head, which is the embedding."""
        return self.vocabulary * self.hidden


SHAPES = {
    "small": Shape(64, 2, 4, 2, 128, TOKENS),  # for smoke tests
    "tiny": Shape(256, 4, 4, 2, 704, TOKENS),  # 5.05 M parameters
    "half": Shape(896, 24, 14, 2, 4864, 151936),  # Qwen2.5-0.5B's shape, 494 M
}


def make_tokenizer(directory: Path) -> None:
    """Train a byte-level BPE on installed Python sources and save it in the form both transformers read."""
    import transformers
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS - 3, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    backend.train_from_iterator(_texts(Path(transformers.__file__).parent), trainer)
    backend.add_special_tokens([AddedToken(token, special=True) for token in (PAD, START, END)])
    directory.mkdir(parents=True, exist_ok=True)
    backend.save(str(directory / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "pad_token": PAD,
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 32768,
    }
    (directory / "tokenizer_config.json").write_text(json.dumps(config))


def _texts(root: Path) -> list[str]:
    """Python sources below `root`, about `TEXT_BYTES` of them, in a fixed order."""
    texts, size = [], 0
    for path in sorted(root.rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        texts.append(text)
        size += len(text)
        if size > TEXT_BYTES:
            break
    return texts


def model_directory(cache: Path, name: str) -> Path:
    """The directory of the shape's random model with its tokenizer, made at the first call."""
    directory = cache / name
    if (directory / "done").exists():
        return directory
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = cache / "tokenizer"
    if not (tokenizer / "tokenizer_config.json").exists():
        make_tokenizer(tokenizer)
    shutil.copytree(tokenizer, directory, dirs_exist_ok=True)
    shape = SHAPES[name]
    config = AutoConfig.for_model(
        "qwen2",
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocabulary,
        tie_word_embeddings=True,
        max_position_embeddings=32768,
        eos_token_id=TOKENS - 1,
        pad_token_id=TOKENS - 3,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(directory)
    # transformers 4.51 reads its own name of the rotary base
    written = json.loads((directory / "config.json").read_text())
    written |= {"rope_theta": written["rope_parameters"]["rope_theta"], "torch_dtype": "float32"}
    (directory / "config.json").write_text(json.dumps(written))
    (directory / "done").touch()
    return directory


class Workload:
    """Prompts and completions of a round, the same for both contenders."""

    def __init__(self, cache: Path) -> None:
        from reasoning_gym.utils import SYSTEM_PROMPTS
        from transformers import AutoTokenizer

        from swarm_node.tasks import TaskSet

        self._tokenizer = AutoTokenizer.from_pretrained(cache / "tokenizer")
        system = SYSTEM_PROMPTS["default"]
        tasks = TaskSet.load("rgym").sample("benchmark", "", 0, 64)
        messages = [
            [{"role": "system", "content": system}, {"role": "user", "content": task.question}] for task in tasks
        ]
        self._prompts = [one for one in messages if self.prompt_tokens(one) <= MAX_PROMPT_TOKENS]
        import transformers

        source = "\n".join(_texts(Path(transformers.__file__).parent / "models" / "bert"))
        self._ids = self._tokenizer(source, add_special_tokens=False)["input_ids"]

    def prompt_tokens(self, messages: list[dict[str, str]]) -> int:
        """Length of the rendered prompt."""
        return len(self._tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))

    def text_tokens(self, text: str) -> int:
        """Tokens of a completion."""
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def prompts(self, count: int) -> list[Any]:
        """`count` prompts as chat messages, of at most 300 tokens each."""
        return self._prompts[:count]

    def texts(self, lengths: list[int]) -> list[str]:
        """A text for each length that both tokenizers turn into exactly that many tokens."""
        texts, start = [], 0
        for length in lengths:
            while True:
                start = (start + 97) % (len(self._ids) - length)
                text = self._tokenizer.decode(self._ids[start : start + length])
                if self.text_tokens(text) == length:
                    break
            texts.append(text)
        return texts


def uneven(rows: int, longest: int, seed: int = 0) -> list[int]:
    """Log-normal lengths, mean about 0.4 and maximum exactly `longest`; every row at least 8 tokens."""
    rng = random.Random(seed)
    lengths = [min(longest, max(8, round(rng.lognormvariate(0, 0.6) * longest * 0.35))) for _ in range(rows)]
    lengths[lengths.index(max(lengths))] = longest
    return lengths


def reward(text: str) -> float:
    """A stand-in scorer: pure, cheap, and different for different texts, so that no group is left out."""
    return len(set(text)) / 100
