"""The forward pass of training: objective and log-probabilities of a packed micro-batch's completions.

Works with `packing` and `head`.  Models that our attention does not know get padded rows instead, at a higher cost.
"""

from __future__ import annotations

from typing import Any

import torch

from swarm_node import attention
from swarm_node.device import DeviceChoice
from swarm_node.head import Objective, Scored, score
from swarm_node.packing import PackedBatch


def attention_dtype(model: Any, device: DeviceChoice) -> torch.dtype:
    """What the model's attention computes in; `pack` makes its masks of it."""
    dtype: torch.dtype = device.autocast_dtype or model.dtype
    return dtype


def score_completions(
    model: Any, batch: PackedBatch, device: DeviceChoice, temperature: float, objective: Objective | None
) -> Scored:
    """Log-probability and entropy of each of the batch's M completion tokens, in order, and the objective over them."""
    longest = max(len(row.prompt_ids) + len(row.completion_ids) for row in batch.rows)
    if attention.unsupported_reason(model, longest) is not None:
        return _padded(model, batch, device, temperature, objective)
    with device.autocast():
        hidden = model.base_model(
            input_ids=batch.input_ids,
            position_ids=batch.position_ids,
            # a 4D mask is taken as it is, which keeps transformers from building one over all packed tokens
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=batch.input_ids.device),
            use_cache=False,
            layout=batch.layout,
        ).last_hidden_state[0]
    chosen = hidden.index_select(0, batch.predictor).to(device.compute_dtype if device.autocast_dtype else hidden.dtype)
    output = model.get_output_embeddings()
    return score(chosen, output.weight, output.bias, batch.targets, temperature, objective)


def _padded(
    model: Any, batch: PackedBatch, device: DeviceChoice, temperature: float, objective: Objective | None
) -> Scored:
    """The same from right-padded rows and the model's own attention and head (which may scale or cap its logits)."""
    where = batch.input_ids.device
    width = max(len(row.prompt_ids) + len(row.completion_ids) for row in batch.rows)
    ids = torch.zeros(len(batch.rows), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    predicts = torch.zeros(ids.shape, dtype=torch.bool)
    for place, row in enumerate(batch.rows):
        sequence = row.prompt_ids + row.completion_ids
        ids[place, : len(sequence)] = torch.tensor(sequence)
        mask[place, : len(sequence)] = 1
        predicts[place, len(row.prompt_ids) - 1 : len(sequence) - 1] = True
    with device.autocast():
        logits = model(input_ids=ids.to(where), attention_mask=mask.to(where), use_cache=False).logits
    scaled = logits[predicts.to(where)]
    scaled = (scaled if scaled.dtype == torch.float64 else scaled.float()) / temperature
    distribution = scaled.log_softmax(-1)
    logprobs = distribution.gather(1, batch.targets[:, None])[:, 0]
    loss = logprobs.new_zeros(()) if objective is None else objective(logprobs, slice(None)).sum()
    with torch.no_grad():
        entropy = -(distribution.exp() * distribution).sum(-1)
    return Scored(loss, logprobs.detach(), entropy)
