"""Attention over a packed batch in which all completions of a question share one copy of its prompt.

Registered under `NAME` with transformers' `AttentionInterface`; without a layout it is plain SDPA, so the same model
object generates and trains.  `packing` makes the layouts, `train` passes them, `policy` passes a 4D mask instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "rlx_shared_prompt"


@dataclass(frozen=True)
class SharedPromptLayout:
    """Where the N packed tokens of n prompts (longest P) and R completions (longest C) lie.

    Index entries beyond a sequence's end point at token 0; masks and `restore` keep them out of every result.
    """

    prompt_index: torch.Tensor  # [n, P] packed position of each prompt token
    own_index: torch.Tensor  # [R, C] packed position of each completion token
    key_index: torch.Tensor  # [R, P + C] packed position of each key of a completion: its prompt, then itself
    key_mask: torch.Tensor  # [R, 1, C, P + C] bool, True: attend
    restore: torch.Tensor  # [N] row of each packed token in the (n·P + R·C) attention outputs


def register() -> None:
    """Make the attention known to transformers (idempotent)."""
    AttentionInterface.register(NAME, shared_prompt_attention)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def unsupported_reason(model: Any, longest: int) -> str | None:
    """Why this model cannot run on our attention for sequences of `longest` tokens, or None if it can."""
    config = model.config.get_text_config()
    if config.model_type not in SUPPORTED_MODEL_TYPES:
        return f"model type {config.model_type} is not among {', '.join(sorted(SUPPORTED_MODEL_TYPES))}"
    listed = getattr(config, "layer_types", None)
    layer_types = set(listed or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    if layer_types != {"full_attention"} and not (
        layer_types <= {"full_attention", "sliding_attention"} and window is not None and longest <= window
    ):
        return f"layers of type {', '.join(sorted(layer_types))} with {longest} tokens"
    if listed is None and window is not None and longest > window:
        return f"a sliding window of {window} with {longest} tokens"
    if getattr(config, "attn_logit_softcapping", None) is not None:
        return "soft-capped attention scores"
    return None


# Decoders whose attention takes (query, key, value, 4D mask) through the attention interface and nothing else.
SUPPORTED_MODEL_TYPES = frozenset({"qwen2", "qwen3", "llama", "mistral", "phi3", "gemma"})


def shared_prompt_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    layout: SharedPromptLayout | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Attention for `AttentionInterface`: query [1, H, N, D], key and value [1, K, N, D] → [1, N, H, D].

    Prompts attend causally to themselves, completions to their prompt and causally to themselves, in two calls of
    SDPA on padded rows; the linear layers around see the N packed tokens only.
    """
    if layout is None:
        output: tuple[torch.Tensor, torch.Tensor | None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return output
    heads, head_dim = query.shape[1], query.shape[3]
    repeats = heads // key.shape[1]
    # one table row per token; embedding() gathers whole rows and has a fast backward on CPU
    queries = _token_rows(query.to(value.dtype))
    keys, values = _token_rows(key.to(value.dtype)), _token_rows(value)

    prompts = functional.scaled_dot_product_attention(
        _gather(queries, layout.prompt_index, heads, 1),
        _gather(keys, layout.prompt_index, heads, repeats),
        _gather(values, layout.prompt_index, heads, repeats),
        is_causal=True,  # padding is on the right, so causality alone hides it
        scale=scaling,
    )
    completions = functional.scaled_dot_product_attention(
        _gather(queries, layout.own_index, heads, 1),
        _gather(keys, layout.key_index, heads, repeats),
        _gather(values, layout.key_index, heads, repeats),
        attn_mask=layout.key_mask,
        scale=scaling,
    )
    rows = torch.cat([_flat_rows(prompts), _flat_rows(completions)])
    return functional.embedding(layout.restore, rows).view(1, -1, heads, head_dim), None


def _token_rows(states: torch.Tensor) -> torch.Tensor:
    """[1, H, N, D] → [N, H·D]."""
    return states[0].transpose(0, 1).flatten(1)


def _gather(table: torch.Tensor, index: torch.Tensor, heads: int, repeats: int) -> torch.Tensor:
    """Rows of `table` [N, K·D] at `index` [B, T] → [B, heads, T, D], key heads repeated for grouped queries."""
    states = functional.embedding(index, table)
    states = states.view(*index.shape, heads // repeats, -1).transpose(1, 2)
    if repeats > 1:
        states = states.repeat_interleave(repeats, dim=1)
    return states


def _flat_rows(states: torch.Tensor) -> torch.Tensor:
    """[B, H, T, D] → [B·T, H·D]."""
    return states.transpose(1, 2).flatten(2).flatten(0, 1)
