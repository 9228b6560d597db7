"""gensyn-genrl 0.1.11's own trainer, called as its game loop calls it: `generate` and `train`, nothing patched out.

Started in an environment of its own (`locks/genrl.txt`). The only thing added is a logits processor that ends each
row at a given length, because random weights hardly ever end one.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from loop import Messages, serve
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, LogitsProcessorList


class EndAt(LogitsProcessor):  # type: ignore[misc]
    """Ends row r of pass p after `lengths[r * generations + p]` tokens and not before."""

    def __init__(self, end_id: int) -> None:
        self._end_id = end_id
        self._ends: torch.Tensor | None = None
        self._width = 0

    def start(self, ends: list[int], width: int, device: Any) -> None:
        self._ends, self._width = torch.tensor(ends, device=device), width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        last = self._ends == input_ids.shape[1] - self._width + 1
        scores[:, self._end_id] = torch.where(last, 1e9, -1e9).to(scores.dtype)
        return scores


class Upstream:
    """genrl's trainer with the defaults of its configuration."""

    def load(self, directory: str, precision: str) -> dict[str, Any]:
        from genrl.trainer.grpo_trainer import GRPOLanguageTrainerModule, GRPOTrainerConfig

        tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(directory, torch_dtype=torch.float32)
        self._make = functools.partial(GRPOLanguageTrainerModule, [model], processing_class=tokenizer)
        self._config = functools.partial(GRPOTrainerConfig, dtype=precision)
        self._trainer = self._make(config=self._config(num_generations=2))
        self._end = EndAt(tokenizer.eos_token_id)
        model = self._trainer.model
        self._generate, model.generate = model.generate, self._limited
        return {"parameters": sum(parameter.numel() for parameter in model.parameters())}

    def _limited(self, input_ids: torch.Tensor, **options: Any) -> Any:
        """genrl's call of `model.generate`, each pass with the lengths of its column."""
        column = self._lengths[self._pass :: self._generations]
        self._end.start(column, input_ids.shape[1], input_ids.device)
        self._pass += 1
        options["generation_config"].max_new_tokens = max(column)
        return self._generate(input_ids, logits_processor=LogitsProcessorList([self._end]), **options)

    def generate(self, prompts: list[Messages], generations: int, lengths: list[int], passes: int) -> dict[str, Any]:
        self._lengths, self._generations, self._pass = lengths, generations, 0
        self._trainer.args.num_generations = passes
        rollout = self._trainer.generate([{"prompt": messages} for messages in prompts])
        return {"rows": sum(map(len, rollout)), "passes": passes}

    def train(self, prompts: list[Messages], texts: list[list[str]], rewards: list[list[float]]) -> dict[str, Any]:
        count = len(prompts)
        self._trainer.args.num_generations = len(texts[0])
        mapping = [(0, index, 0) for index in range(count)]
        inputs = [{"prompt": messages} for messages in prompts]
        tree = {0: {index: {0: texts[index]} for index in range(count)}}
        scores = {0: {index: {0: rewards[index]} for index in range(count)}}
        state = SimpleNamespace(stage=1, get_stage_state=lambda _: None, get_stage_actions=lambda _: tree)
        data = SimpleNamespace(prepare_input=lambda *_: (inputs, mapping))
        self._trainer.train(state, data, {0: scores})
        return {}


if __name__ == "__main__":
    serve(Upstream(), int(sys.argv[1]))
