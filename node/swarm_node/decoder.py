"""One decode step of Llama-like models, written out on the model's own weights.

A step of a small batch is bound by the cost of calling things: transformers' modules make some forty calls a layer
where sixteen do. `policy` prefills with the model itself, steps with this, and keeps to the model for every
architecture that `make` does not recognise piece by piece. Works with `kv_cache`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from swarm_node.kv_cache import PreallocatedLayer

MODEL_TYPES = frozenset({"llama", "mistral", "qwen2", "qwen3"})
ROPE_TYPES = frozenset({"default", "linear", "llama3", "yarn"})  # frequencies that do not depend on the length
FUSE_BELOW = 50_000_000  # parameters; joining the matrices of a larger float32 model would cost its memory again
_PROJECTIONS = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
                "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")  # fmt: skip


@dataclass(frozen=True)
class Matrix:
    """A linear layer [out, in], or several of the same input one above the other."""

    weight: torch.Tensor
    bias: torch.Tensor | None

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """[B, in] → [B, out]."""
        if not _transposed_is_faster(len(states), self.weight):
            return functional.linear(states, self.weight, self.bias)
        product = torch.mm(self.weight, states.T).T
        return product if self.bias is None else product + self.bias


def _transposed_is_faster(rows: int, weight: torch.Tensor) -> bool:
    """Whether W·xᵀ beats x·Wᵀ: on CPUs in float32 for few rows, by up to 1.7 times (docs/trainer.md)."""
    return not weight.is_cuda and weight.dtype == torch.float32 and 8 <= rows <= 24 and weight.numel() > 500_000


@dataclass(frozen=True)
class Block:
    """The weights of one decoder layer."""

    attention_norm: torch.Tensor
    query_key_value: tuple[Matrix, ...]  # one joint matrix or three
    query_norm: torch.Tensor | None
    key_norm: torch.Tensor | None
    output: Matrix
    mlp_norm: torch.Tensor
    gate_up: tuple[Matrix, ...]  # one joint matrix or two
    down: Matrix


class Decoder:
    """Decode steps for the weights that the model has now; make a new one after every change of them."""

    def __init__(self, model: Any, dtype: torch.dtype, capacity: int) -> None:
        base, config = model.base_model, model.config.get_text_config()
        self._dtype = dtype
        self._epsilon = float(config.rms_norm_eps)
        self._embedding = base.embed_tokens.weight
        self._norm = base.norm.weight
        fuse = dtype != torch.float32 or sum(p.numel() for p in model.parameters()) < FUSE_BELOW
        self._blocks = [_block(layer, dtype, fuse) for layer in base.layers]
        self._head = _join([model.get_output_embeddings()], dtype, True)[0]
        attention = base.layers[0].self_attn
        self._head_dim = int(attention.head_dim)
        self._heads = attention.q_proj.out_features // self._head_dim
        self._key_heads = attention.k_proj.out_features // self._head_dim
        self._scaling = float(attention.scaling)
        positions = torch.arange(capacity, device=self._embedding.device)[None]
        cos, sin = base.rotary_emb(self._norm.float(), positions)
        half = self._head_dim // 2
        self._cos = cos[0].float()
        self._sin = torch.cat([-sin[0, :, :half], sin[0, :, half:]], dim=-1).float()  # rotation as one multiply-add

    def step(self, token: torch.Tensor, positions: torch.Tensor, mask: torch.Tensor | None, cache: Any) -> torch.Tensor:
        """Logits [B, V] that follow `token` [B] at `positions` [B].

        `mask` [B, 1, 1, S] is added to the scores of the S slots that will be filled; None: all are visible.
        """
        states = functional.embedding(token, self._embedding).float()
        cos, sin = self._cos[positions][:, None], self._sin[positions][:, None]
        width = (states.shape[-1],)
        for block, layer in zip(self._blocks, cache.layers, strict=True):
            normed = functional.rms_norm(states, width, block.attention_norm, self._epsilon)
            attended = self._attend(block, normed.to(self._dtype), cos, sin, mask, layer)
            states = states + block.output(attended)
            normed = functional.rms_norm(states, width, block.mlp_norm, self._epsilon).to(self._dtype)
            gate, up = _parts(block.gate_up, normed)
            states = states + block.down(functional.silu(gate) * up)
        return self._head(functional.rms_norm(states, width, self._norm, self._epsilon).to(self._dtype))

    def _attend(
        self,
        block: Block,
        normed: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        mask: torch.Tensor | None,
        layer: PreallocatedLayer,
    ) -> torch.Tensor:
        """Attention of one new token a row, [B, d] → [B, H·D], its key and value put into the cache."""
        rows, dim = len(normed), self._head_dim
        if len(block.query_key_value) == 1:
            mixed = block.query_key_value[0](normed).view(rows, -1, dim)
            turned, value = mixed[:, : self._heads + self._key_heads], mixed[:, self._heads + self._key_heads :]
        else:
            query, key, value = (matrix(normed).view(rows, -1, dim) for matrix in block.query_key_value)
            turned = torch.cat([query, key], dim=1)
        turned = turned.float()
        if block.query_norm is not None and block.key_norm is not None:
            query, key = turned[:, : self._heads], turned[:, self._heads :]
            turned = torch.cat(
                [
                    functional.rms_norm(query, (dim,), block.query_norm, self._epsilon),
                    functional.rms_norm(key, (dim,), block.key_norm, self._epsilon),
                ],
                dim=1,
            )
        halves = turned.reshape(rows, -1, 2, dim // 2).flip(2).view_as(turned)
        turned = torch.addcmul(turned * cos, halves, sin).to(layer.dtype)
        keys, values = layer.update(turned[:, self._heads :, None], value[:, :, None])
        # the queries that share a key head are the query positions of one head: no key is copied
        query = turned[:, : self._heads].reshape(rows, self._key_heads, -1, dim)
        if mask is not None:
            mask = mask.to(query.dtype)
        output = functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=self._scaling)
        return output.reshape(rows, -1)


def make(model: Any, dtype: torch.dtype, capacity: int) -> Decoder | None:
    """A decoder for up to `capacity` positions, or None for a model that is not exactly of a known build.

    LoRA layers, quantised layers, other activations and scaled embeddings are such cases.
    """
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or {}
    known = (
        config.model_type in MODEL_TYPES
        and getattr(config, "hidden_act", "") == "silu"
        and rope.get("rope_type", "default") in ROPE_TYPES
        and rope.get("partial_rotary_factor", 1.0) == 1.0
        and type(model.get_output_embeddings()) is nn.Linear
        and all(
            type(layer.get_submodule(name)) is nn.Linear for layer in model.base_model.layers for name in _PROJECTIONS
        )
        and next(model.parameters()).dtype != torch.float64
    )
    return Decoder(model, dtype, capacity) if known else None


def _block(layer: Any, dtype: torch.dtype, fuse: bool) -> Block:
    attention, mlp = layer.self_attn, layer.mlp
    query_norm, key_norm = (getattr(attention, name, None) for name in ("q_norm", "k_norm"))
    return Block(
        attention_norm=layer.input_layernorm.weight,
        query_key_value=_join([attention.q_proj, attention.k_proj, attention.v_proj], dtype, fuse),
        query_norm=None if query_norm is None else query_norm.weight,
        key_norm=None if key_norm is None else key_norm.weight,
        output=_join([attention.o_proj], dtype, fuse)[0],
        mlp_norm=layer.post_attention_layernorm.weight,
        gate_up=_join([mlp.gate_proj, mlp.up_proj], dtype, fuse),
        down=_join([mlp.down_proj], dtype, fuse)[0],
    )


def _join(layers: list[Any], dtype: torch.dtype, fuse: bool) -> tuple[Matrix, ...]:
    """The layers as one matrix, or as they are; in `dtype`, without a copy where none is needed."""
    parts = [(layer.weight.detach().to(dtype), None if layer.bias is None else layer.bias.detach().to(dtype))
             for layer in layers]  # fmt: skip
    biases = [bias for _, bias in parts if bias is not None]
    if not fuse or len(parts) == 1 or len(biases) not in (0, len(parts)):
        return tuple(Matrix(weight, bias) for weight, bias in parts)
    return (Matrix(torch.cat([weight for weight, _ in parts]), torch.cat(biases) if biases else None),)


def _parts(matrices: tuple[Matrix, ...], states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gate and up projections from one joint matrix or two."""
    if len(matrices) == 1:
        gate, up = matrices[0](states).chunk(2, dim=-1)
        return gate, up
    return matrices[0](states), matrices[1](states)
