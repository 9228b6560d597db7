"""Attention over a packed batch in which all completions of a question share one copy of its prompt.

Registered under `NAME` with transformers' `AttentionInterface`; without a layout it is plain SDPA, so the same model
object generates and trains.  `layout` makes the layouts, `train` passes them, `policy` passes a 4D mask instead.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from swarm_node.layout import SharedPromptLayout

NAME = "rlx_shared_prompt"


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
    if getattr(config, "final_logit_softcapping", None) is not None:
        return "soft-capped logits"
    if getattr(config, "use_bidirectional_attention", False):
        return "attention in both directions"
    return None


# Decoders whose attention takes (query, key, value, 4D mask) through the attention interface and nothing else.
SUPPORTED_MODEL_TYPES = frozenset({"qwen2", "qwen3", "llama", "mistral", "phi", "phi3", "gemma", "gemma3_text"})


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

    Prompts attend causally to themselves, completions to their prompt and causally to themselves, on padded rows, one
    call of SDPA for the prompts and one a bucket; the linear layers around see the N packed tokens only.
    """
    if layout is None:
        output: tuple[torch.Tensor, torch.Tensor | None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return output
    heads, key_heads, head_dim = query.shape[1], key.shape[1], query.shape[3]
    grouped = heads != key_heads
    # one table row per token; embedding() gathers whole rows and has a fast backward on CPU
    queries = _token_rows(query.to(value.dtype))
    keys, values = _token_rows(key.to(value.dtype)), _token_rows(value)
    outputs = [
        functional.scaled_dot_product_attention(
            _gather(queries, layout.prompt_index, heads),
            _gather(keys, layout.prompt_index, key_heads),
            _gather(values, layout.prompt_index, key_heads),
            is_causal=True,  # padding is on the right, so causality alone hides it
            scale=scaling,
            enable_gqa=grouped,
        )
    ]
    outputs += [
        functional.scaled_dot_product_attention(
            _gather(queries, bucket.own_index, heads),
            _gather(keys, bucket.key_index, key_heads),
            _gather(values, bucket.key_index, key_heads),
            attn_mask=bucket.mask.to(queries.dtype),  # torch reads a float32 mask as float64 there, without a word
            scale=scaling,
            enable_gqa=grouped,
        )
        for bucket in layout.buckets
    ]
    rows = torch.cat([_flat_rows(output) for output in outputs])
    return functional.embedding(layout.restore, rows).view(1, -1, heads, head_dim), None


def _token_rows(states: torch.Tensor) -> torch.Tensor:
    """[1, H, N, D] → [N, H·D]."""
    return states[0].transpose(0, 1).flatten(1)


def _gather(table: torch.Tensor, index: torch.Tensor, heads: int) -> torch.Tensor:
    """Rows of `table` [N, heads·D] at `index` [B, T] → [B, heads, T, D]."""
    return functional.embedding(index, table).view(*index.shape, heads, -1).transpose(1, 2)


def _flat_rows(states: torch.Tensor) -> torch.Tensor:
    """[B, H, T, D] → [B·T, H·D]."""
    return states.transpose(1, 2).flatten(2).flatten(0, 1)
