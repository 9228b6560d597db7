"""The trainer: one GRPO step on a round's groups, own and external.

Works with `packing` (micro-batches), `attention` and `head` (the forward pass), `loss` (the objective); the weights
it changes are those that `policy` generates with.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from swarm_core.log import get_logger
from swarm_node import recompute
from swarm_node.device import DeviceChoice
from swarm_node.forward import attention_dtype, score_completions
from swarm_node.hyper import Hyperparameters
from swarm_node.loss import BatchSize, TokenLosses, token_losses, token_weight
from swarm_node.optimizer import Moments, adamw, moments, restore_moments
from swarm_node.packing import PackedBatch, Row, TrainingGroup, pack, plan

__all__ = ["StepMetrics", "Trainer", "TrainingGroup"]

log = get_logger("train")


@dataclass(frozen=True)
class StepMetrics:
    """What one step did; means are over the completion tokens trained on, of the last inner iteration."""

    loss: float
    grad_norm: float  # before clipping
    clip_ratio: float  # share of tokens whose ratio was clipped
    entropy: float  # nats
    kl: float
    tokens: int  # completion tokens trained on
    groups_used: int
    groups_skipped: int  # zero advantage: no cost, no gradient
    external_used: int
    optimizer_steps: int  # taken in this call: 0 when nothing was informative or a gradient was not finite
    seconds: float
    packed_tokens: int = 0  # forwarded in one pass, prompts included


class Trainer:
    """Owns the optimiser.  One call at a time; the weights are float32 and stay in place."""

    def __init__(
        self, model: Any, hyper: Hyperparameters, device: DeviceChoice, max_external_ratio: float | None = None
    ) -> None:
        """No token of another peer's group gets a larger ratio than `max_external_ratio`, whatever that peer claims."""
        self._model = model
        self._hyper = hyper
        self._device = device
        self._room = None if max_external_ratio is None else math.log(max_external_ratio)
        self._reference = copy.deepcopy(model).requires_grad_(False) if hyper.beta > 0 else None
        self.recomputes = recompute.wanted(model, device)
        self._optimizer = adamw(model, hyper)
        self.optimizer_steps = 0
        self.micro_batch_tokens = hyper.micro_batch_tokens  # packed tokens forwarded at once; may change between steps

    def step(self, groups: Sequence[TrainingGroup]) -> StepMetrics:
        """Train on `groups`: `num_iterations` optimiser steps, or none when no group has a non-zero advantage."""
        started = time.perf_counter()
        rows, used = self._rows(groups)
        if not rows:
            return StepMetrics(0, 0, 0, 0, 0, 0, 0, len(groups), 0, 0, time.perf_counter() - started)
        self._model.eval()  # no dropout: the ratio compares one policy with another, not one mask with another
        dtype = attention_dtype(self._model, self._device)
        batches = [pack(part, self._device.device, dtype) for part in plan(rows, self.micro_batch_tokens)]
        reference = [self._reference_logprobs(batch) for batch in batches]
        old: list[torch.Tensor | None] = [None] * len(batches)
        totals = torch.zeros(4, dtype=torch.float64)
        grad_norm, steps = 0.0, 0
        for _ in range(self._hyper.num_iterations):
            self._optimizer.zero_grad(set_to_none=True)
            totals = torch.zeros(4, dtype=torch.float64, device=self._device.device)
            for number, batch in enumerate(batches):
                sums, logprobs = self._backward(batch, old[number], reference[number])
                totals += sums
                if old[number] is None:
                    old[number] = self._before(batch, logprobs, slice(None))
            norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), self._hyper.max_grad_norm)
            grad_norm = float(norm)
            if not math.isfinite(grad_norm):
                log.warning("gradient is not finite, the update is left out", grad_norm=grad_norm)
                break
            self._optimizer.step()
            steps += 1
        self._optimizer.zero_grad(set_to_none=True)
        self.optimizer_steps += steps
        tokens = sum(len(batch.targets) for batch in batches)
        loss, clipped, kl, entropy_sum = totals.tolist()
        return StepMetrics(
            loss=loss,
            grad_norm=grad_norm,
            clip_ratio=clipped / tokens,
            entropy=entropy_sum / tokens,
            kl=kl / tokens,
            tokens=tokens,
            groups_used=len(used),
            groups_skipped=len(groups) - len(used),
            external_used=sum(groups[index].external for index in used),
            optimizer_steps=steps,
            seconds=time.perf_counter() - started,
            packed_tokens=sum(batch.input_ids.shape[1] for batch in batches),
        )

    def _rows(self, groups: Sequence[TrainingGroup]) -> tuple[list[Row], list[int]]:
        """The completions to train on, and the indices of their groups.

        A group without advantages adds nothing to the policy loss, so it is left out, unless there is a KL term.
        """
        hyper = self._hyper
        used = [index for index, group in enumerate(groups) if any(group.advantages) or (hyper.beta > 0)]
        if not any(any(groups[index].advantages) for index in used):
            return [], []
        lengths = [[len(ids) for ids in group.completion_ids] for group in groups]
        batch = BatchSize(
            sequences=sum(map(len, lengths)),
            tokens=sum(map(sum, lengths)),
            active_tokens=sum(sum(lengths[index]) for index in used),
        )
        rows = []
        for index in used:
            group = groups[index]
            for place, ids in enumerate(group.completion_ids):
                weight = token_weight(hyper.loss_type, len(ids), batch, hyper.max_completion_length)
                old = group.old_logprobs[place] if group.old_logprobs is not None else None
                rows.append(Row(index, group.prompt_ids, ids, group.advantages[place], weight, old, group.external))
        return rows, used

    def _before(self, batch: PackedBatch, logprobs: torch.Tensor, where: slice) -> torch.Tensor:
        """Log-probabilities that ratios are formed with, given our own of the first pass."""
        known = batch.old_logprobs[where].to(logprobs)
        before = torch.where(known.isnan(), logprobs, known)
        if self._room is None:
            return before
        return torch.where(batch.external[where], before.maximum(logprobs - self._room), before)

    def _backward(
        self, batch: PackedBatch, old: torch.Tensor | None, reference: torch.Tensor | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the micro-batch's gradient; sums of loss, clipped tokens, KL and entropy, float64 [4], and log-probs [M].

        In the first pass `old` is None: the ratio is to what the groups bring, and 1 where they bring nothing.
        """

        def losses(logprobs: torch.Tensor, where: slice) -> TokenLosses:
            before = self._before(batch, logprobs.detach(), where) if old is None else old[where]
            return token_losses(
                logprobs,
                before,
                batch.advantages[where].to(logprobs),
                epsilon=self._hyper.epsilon,
                epsilon_high=self._hyper.epsilon_high,
                reference_logprobs=None if reference is None else reference[where],
                beta=self._hyper.beta,
            )

        def objective(logprobs: torch.Tensor, where: slice) -> torch.Tensor:
            return losses(logprobs, where).loss * batch.weights[where].to(logprobs)

        with recompute.cheap_again(self._model, self.recomputes):
            scored = score_completions(self._model, batch, self._device, self._hyper.temperature, objective)
        scored.loss.backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            told = losses(scored.logprobs, slice(None))
            sums = torch.stack([scored.loss, told.clipped.sum(), told.kl.sum(), scored.entropy.sum()]).double()
        return sums, scored.logprobs

    @torch.no_grad()
    def _reference_logprobs(self, batch: PackedBatch) -> torch.Tensor | None:
        if self._reference is None:
            return None
        return score_completions(self._reference, batch, self._device, self._hyper.temperature, None).logprobs

    @property
    def model(self) -> Any:
        """The model being trained."""
        return self._model

    def optimizer_state(self) -> Moments:
        """AdamW's moments and step counts by parameter number, for a checkpoint."""
        return moments(self._optimizer)

    def load_optimizer_state(self, state: Moments, optimizer_steps: int) -> None:
        """Take over what `optimizer_state` gave; the hyperparameters stay those of this trainer."""
        restore_moments(self._optimizer, state)
        self.optimizer_steps = optimizer_steps
