"""The policy: samples all completions of a round in one batch.

Each prompt is prefilled once and its keys and values repeated for its completions; finished rows leave the batch.
Works with `kv_cache`, `sampling` and `stop_strings`; models that our attention does not know go through
transformers' `generate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from swarm_core.log import get_logger
from swarm_node import attention, decoder, hf_generate
from swarm_node.device import DeviceChoice
from swarm_node.forward import attention_dtype
from swarm_node.hyper import Hyperparameters
from swarm_node.kv_cache import preallocated_cache, take_rows
from swarm_node.sampling import draw
from swarm_node.stop_strings import StopStrings

log = get_logger("policy")

DROP_FINISHED_AT = 0.25  # share of finished rows at which they are dropped; copying the cache costs about a step
CPU_CHECK_EVERY = 1  # steps between looks at the finished rows
CUDA_CHECK_EVERY = 8  # each look waits for the GPU


@dataclass(frozen=True)
class Completion:
    """One sampled completion.

    `ids` are the exact tokens, the end token included where one was drawn; `logprobs` their log-probabilities under
    the policy at the sampling temperature, before top-p and top-k.  `text` leaves special tokens out and ends with the
    stop string where there is one.
    """

    ids: list[int]
    logprobs: list[float]
    text: str
    finished: bool  # by an end token or a stop string, not by its length
    whole: bool = True  # the text is that of all tokens; False where a stop string ended inside the last one


class Policy:
    """Generates with `model`, whose weights the trainer changes between calls.  One call at a time."""

    def __init__(self, model: Any, tokenizer: Any, device: DeviceChoice, hyper: Hyperparameters) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._hyper = hyper
        self._end_ids = end_token_ids(model, tokenizer)
        self._end_tensor = torch.tensor(self._end_ids, device=device.device)
        self._stops = StopStrings(tokenizer, hyper.stop_strings)
        self._fallback_logged = False

    @torch.no_grad()
    def generate(
        self,
        prompts: list[list[int]],
        num_generations: int,
        generator: torch.Generator,
        *,
        greedy: bool = False,
        max_new_tokens: int | None = None,
    ) -> list[list[Completion]]:
        """`num_generations` completions of each prompt, reproducible by the state of `generator` (a CPU one).

        Raises ValueError for an empty prompt.
        """
        if not prompts:
            return []
        if not all(prompts):
            raise ValueError("a prompt has no tokens")
        limit = max_new_tokens or self._hyper.max_completion_length
        rows = len(prompts) * num_generations
        uniforms = torch.rand(limit, rows, generator=generator)  # before any branch: the stream advances alike
        self._model.eval()
        reason = attention.unsupported_reason(self._model, max(map(len, prompts)) + limit)
        with self._device.autocast():
            if reason is None:
                tokens, logprobs = self._decode(prompts, num_generations, limit, uniforms, greedy)
            else:
                self._log_fallback(reason)
                tokens, logprobs = hf_generate.generate(
                    self._model,
                    prompts,
                    num_generations,
                    limit,
                    generator,
                    self._hyper,
                    self._end_ids,
                    greedy,
                    self._stops,
                )
        completions = self._harvest(tokens.tolist(), logprobs.tolist())
        return [completions[start : start + num_generations] for start in range(0, rows, num_generations)]

    def _log_fallback(self, reason: str) -> None:
        if not self._fallback_logged:
            log.warning("generation falls back to transformers' generate", reason=reason)
            self._fallback_logged = True

    def _decode(
        self, prompts: list[list[int]], num_generations: int, limit: int, uniforms: torch.Tensor, greedy: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Tokens and log-probabilities, both [I·G, ≤ limit]; what follows a row's end token is meaningless."""
        device = self._device.device
        hyper = self._hyper
        width = max(map(len, prompts))
        input_ids = torch.tensor([[0] * (width - len(ids)) + ids for ids in prompts], device=device)
        pads = torch.tensor([width - len(ids) for ids in prompts], device=device)
        uniforms = uniforms.to(device)

        config = self._model.config.get_text_config()
        dtype = attention_dtype(self._model, self._device)
        cache = preallocated_cache(config.num_hidden_layers, width + limit, dtype)
        slots = torch.arange(width + limit, device=device)
        visible = slots >= pads[:, None]  # [I, S] what is not left padding
        positions = (slots[:width] - pads[:, None]).clamp(min=0)
        # a padding query sees itself, as a row of the mask without any entry would give NaN
        causal = slots[:width, None] >= slots[None, :width]
        own = slots[:width, None] == slots[None, :width]
        mask = (causal & visible[:, None, :width]) | own
        logits = self._forward(input_ids, positions, mask[:, None], cache)

        # from here on: one row per completion
        expand = torch.arange(len(prompts), device=device).repeat_interleave(num_generations)
        take_rows(cache, expand)
        logits, pads, visible = logits[expand], pads[expand], visible[expand]
        decode = decoder.make(self._model, dtype, width + limit)
        hidden = _score_mask(visible, dtype) if width > min(map(len, prompts)) else None
        active = torch.arange(len(expand), device=device)  # original row of each running row
        finished = torch.zeros(len(expand), dtype=torch.bool, device=device)
        tokens = torch.zeros(len(expand), limit, dtype=torch.long, device=device)
        logprobs = torch.zeros(len(expand), limit, device=device)
        check_every = CUDA_CHECK_EVERY if device.type == "cuda" else CPU_CHECK_EVERY

        for step in range(limit):
            scaled = logits.float() if hyper.temperature == 1.0 else logits.float() / hyper.temperature
            token, logprob = draw(scaled, None if greedy else uniforms[step, active], hyper.top_p, hyper.top_k)
            tokens[active, step] = token
            logprobs[active, step] = logprob
            if step + 1 == limit:
                break
            finished |= self._ended(token, step, active)
            if (step + 1) % check_every == 0:
                if self._stops:
                    begin = max(0, step + 1 - self._stops.reach(check_every))
                    rows = tokens[active, begin : step + 1].tolist()
                    finished |= torch.tensor(self._stops.ended(rows, check_every), device=device)
                done = int(finished.sum())
                if done == len(active):
                    return tokens[:, : step + 1], logprobs[:, : step + 1]
                if done >= DROP_FINISHED_AT * len(active):
                    keep = (~finished).nonzero()[:, 0]
                    take_rows(cache, keep)
                    active, token, pads, visible = active[keep], token[keep], pads[keep], visible[keep]
                    hidden = None if hidden is None else hidden[keep]
                    finished = finished[keep]
            filled = width + step + 1
            positions = width + step - pads
            if decode is not None:
                logits = decode.step(token, positions, None if hidden is None else hidden[..., :filled], cache)
            else:
                mask = visible[:, None, None, :filled]
                logits = self._forward(token[:, None], positions[:, None], mask, cache)
        return tokens, logprobs

    def _ended(self, token: torch.Tensor, step: int, active: torch.Tensor) -> torch.Tensor:
        """Which rows [B] end with `token` [B], their token number `step`; `active` [B] are the rows' numbers."""
        return torch.isin(token, self._end_tensor)

    def _forward(
        self, input_ids: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor, cache: Any
    ) -> torch.Tensor:
        """Logits [B, V] that follow the last of `input_ids` [B, T], under a boolean mask [B, 1, T, S]."""
        output = self._model(
            input_ids=input_ids,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: torch.Tensor = output.logits[:, -1]
        return logits

    def _harvest(self, tokens: list[list[int]], logprobs: list[list[float]]) -> list[Completion]:
        """Cut each row after its end token or the token that completes a stop string, and decode it."""
        ends = set(self._end_ids)
        rows = []
        for row in tokens:
            stop = next((place for place, token in enumerate(row) if token in ends), None)
            rows.append(row if stop is None else row[: stop + 1])
        completions = []
        for ids, values, text in zip(rows, logprobs, self._stops.decode(rows), strict=True):
            found = self._stops.cut(ids) if self._stops.found_in(text) else None
            if found is None:
                completions.append(Completion(ids, values[: len(ids)], text, ids[-1] in ends))
            else:
                count, upto = found
                whole = upto == self._stops.decode([ids[:count]])[0]
                completions.append(Completion(ids[:count], values[:count], upto, True, whole))
        return completions


def _score_mask(visible: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What is added to attention scores [B, 1, 1, S]: -inf for padding."""
    return torch.zeros_like(visible, dtype=dtype).masked_fill_(~visible, float("-inf"))[:, None, None]


def end_token_ids(model: Any, tokenizer: Any) -> Sequence[int]:
    """Tokens that end a completion: those of the generation config and the tokenizer's."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return sorted({int(token) for token in [*ids, tokenizer.eos_token_id] if token is not None})
