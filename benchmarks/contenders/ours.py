"""The product's own policy and trainer, called as `swarm_node.round` calls them.

The only thing added is that rows end at a given length, because random weights hardly ever end one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from loop import Messages, serve
from workload import MAX_PROMPT_TOKENS

from swarm_node import heap, memory
from swarm_node.advantages import batch_advantages
from swarm_node.device import SMALL_MODEL_PARAMETERS, choose_device
from swarm_node.hyper import Hyperparameters
from swarm_node.memory_plan import fitting
from swarm_node.model import load
from swarm_node.packing import TrainingGroup
from swarm_node.policy import Policy
from swarm_node.tokens import Prompts
from swarm_node.train import Trainer


class EndingPolicy(Policy):
    """Ends row r after `lengths[r]` tokens and not before."""

    lengths: torch.Tensor

    def _ended(self, token: torch.Tensor, step: int, active: torch.Tensor) -> torch.Tensor:
        return self.lengths[active] <= step + 1


class Ours:
    """Policy and trainer on one model, as in the worker."""

    def load(self, directory: str, precision: str) -> dict[str, Any]:
        device = choose_device("auto", "bfloat16" if precision == "bfloat16" else "float32")
        loaded = load(directory, device)
        self._hyper = Hyperparameters(loss_type="bnpo", max_grad_norm=1.0)
        self._tokenizer = loaded.tokenizer
        self._prompts = Prompts(loaded.tokenizer)
        self._policy = EndingPolicy(loaded.model, loaded.tokenizer, device, self._hyper)
        self._trainer = Trainer(loaded.model, self._hyper, device)
        self._device = device
        self._trainer.micro_batch_tokens = self._fitting(loaded.model)
        if loaded.parameters >= SMALL_MODEL_PARAMETERS:
            heap.keep_pages()
        return {"parameters": loaded.parameters, "device": device.label}

    def _fitting(self, model: Any) -> int:
        """The micro-batch that the worker would choose for the largest row of the table."""
        largest = self._hyper.model_copy(update={"num_questions": 9, "num_generations": 8})
        held = memory.held_bytes(self._device)
        need = memory.estimate(model, largest, self._device, MAX_PROMPT_TOKENS, held, self._trainer.recomputes)
        longest = MAX_PROMPT_TOKENS + largest.max_completion_length
        tokens, _ = fitting(need, memory.limit_bytes(self._device), largest.num_questions, longest)
        return tokens

    def generate(self, prompts: list[Messages], generations: int, lengths: list[int], passes: int) -> dict[str, Any]:
        self._policy.lengths = torch.tensor(lengths, device=self._device.device)
        groups = self._policy.generate(
            [self._encode(messages) for messages in prompts],
            generations,
            torch.Generator().manual_seed(0),
            max_new_tokens=max(lengths),
        )
        return {"rows": sum(map(len, groups)), "passes": generations}

    def train(self, prompts: list[Messages], texts: list[list[str]], rewards: list[list[float]]) -> dict[str, Any]:
        limit = self._hyper.max_completion_length
        groups = [
            TrainingGroup(
                self._encode(messages),
                [self._prompts.encode_completion(text, limit, finished=False) for text in group],
                advantages,
            )
            for messages, group, advantages in zip(prompts, texts, batch_advantages(rewards), strict=True)
        ]
        metrics = self._trainer.step(groups)
        return {"tokens": metrics.tokens, "grad_norm": metrics.grad_norm}

    def _encode(self, messages: Messages) -> list[int]:
        text = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


if __name__ == "__main__":
    heap.one_arena()
    serve(Ours(), int(sys.argv[1]))
