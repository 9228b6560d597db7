"""Generation by transformers' own `generate`, for model families that our decode loop does not know.

Slower (each prompt is prefilled once per completion) but right for any causal model.  Works with `policy`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from swarm_node.hyper import Hyperparameters
from swarm_node.stop_strings import StopStrings


class _StopAt(StoppingCriteria):  # type: ignore[misc]
    """Ends rows of `generate` at stop strings; their completions begin at column `width`."""

    def __init__(self, stops: StopStrings, width: int) -> None:
        self._stops = stops
        self._width = width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        begin = max(self._width, input_ids.shape[1] - self._stops.reach())
        return torch.tensor(self._stops.ended(input_ids[:, begin:].tolist()), device=input_ids.device)


def generate(
    model: Any,
    prompts: list[list[int]],
    num_generations: int,
    limit: int,
    generator: torch.Generator,
    hyper: Hyperparameters,
    end_ids: Sequence[int],
    greedy: bool,
    stops: StopStrings,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and log-probabilities at the temperature, both [I·G, ≤ limit], as the decode loop gives them.

    `generate` knows the global random state only, so that is seeded from `generator` and put back afterwards.
    """
    device = next(model.parameters()).device
    width = max(map(len, prompts))
    input_ids = torch.tensor([[0] * (width - len(ids)) + ids for ids in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=device)
    seed = int(torch.randint(2**62, (), generator=generator))
    sampling = (
        {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if greedy
        else {"do_sample": True, "temperature": hyper.temperature, "top_p": hyper.top_p, "top_k": hyper.top_k}
    )
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        output = model.generate(
            input_ids=input_ids.repeat_interleave(num_generations, dim=0),
            attention_mask=mask.repeat_interleave(num_generations, dim=0),
            max_new_tokens=limit,
            eos_token_id=list(end_ids),
            pad_token_id=end_ids[0],
            return_dict_in_generate=True,
            output_logits=True,
            stopping_criteria=StoppingCriteriaList([_StopAt(stops, width)] if stops else []),
            **sampling,
        )
    tokens = output.sequences[:, width:]
    logprobs = torch.stack(
        [
            (step.float() / hyper.temperature).log_softmax(-1).gather(1, tokens[:, place, None])[:, 0]
            for place, step in enumerate(output.logits)
        ],
        dim=1,
    )
    return tokens, logprobs
