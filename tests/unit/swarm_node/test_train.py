"""A training step: gradients equal a padded float64 reference, and groups without signal change nothing."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from swarm_node.device import DeviceChoice
from swarm_node.hyper import Hyperparameters
from swarm_node.packing import TrainingGroup
from swarm_node.train import Trainer

MAX_LENGTH = 12
HYPER = Hyperparameters(learning_rate=1e-3, max_completion_length=MAX_LENGTH, max_grad_norm=1e9)


def tokens(count: int, seed: int) -> list[int]:
    return torch.randint(0, 256, (count,), generator=torch.Generator().manual_seed(seed)).tolist()


def groups(old: bool = False) -> list[TrainingGroup]:
    """Unequal prompts, completions and group sizes; the second group has no signal, the last is external."""
    shapes = [(7, (3, 9, 1), (1.2, -0.7, -0.5)), (2, (4, 4), (0.0, 0.0)), (15, (12, 2, 5, 5), (-1.0, 0.5, 0.2, 0.3))]
    result = []
    for number, (prompt, lengths, advantages) in enumerate(shapes):
        completions = [tokens(length, 100 * number + place) for place, length in enumerate(lengths)]
        generator = torch.Generator().manual_seed(number)
        known = [(-5.0 - torch.rand(n, generator=generator, dtype=torch.float64)).tolist() for n in lengths]
        result.append(
            TrainingGroup(
                tokens(prompt, number), completions, list(advantages), known if old else None, external=number == 2
            )
        )
    return result


def reference_loss(
    model: Any,
    batch: Sequence[TrainingGroup],
    hyper: Hyperparameters,
    old: list[torch.Tensor] | None,
    frozen: Any = None,
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The textbook computation: every row alone, all logits, no packing, no skipping."""

    def logprobs(net: Any, prompt: list[int], completion: list[int]) -> torch.Tensor:
        logits = net(input_ids=torch.tensor([prompt + completion])).logits[0, len(prompt) - 1 : -1] / hyper.temperature
        return logits.log_softmax(-1).gather(1, torch.tensor(completion)[:, None])[:, 0]

    pairs = [(g, i) for g in batch for i in range(len(g.completion_ids))]
    per_row, current = [], []
    for number, (group, place) in enumerate(pairs):
        new = logprobs(model, group.prompt_ids, group.completion_ids[place])
        current.append(new.detach())
        if old is not None:
            before = old[number]
        elif group.old_logprobs is not None:
            before = torch.tensor(group.old_logprobs[place], dtype=new.dtype)
        else:
            before = new.detach()
        ratio = (new - before).exp()
        advantage = group.advantages[place]
        value = -torch.min(ratio * advantage, ratio.clamp(1 - hyper.epsilon, 1 + hyper.epsilon_high) * advantage)
        if frozen is not None:
            with torch.no_grad():
                d_ref = logprobs(frozen, group.prompt_ids, group.completion_ids[place])
            value = value + hyper.beta * ((d_ref - new).exp() - (d_ref - new) - 1)
        per_row.append(value)
    active = sum(len(v) for v, (g, _) in zip(per_row, pairs, strict=True) if any(g.advantages) or hyper.beta > 0)
    total = torch.cat(per_row).sum()
    if hyper.loss_type == "grpo":
        loss = torch.stack([v.mean() for v in per_row]).mean()
    elif hyper.loss_type == "dr_grpo":
        loss = total / (len(per_row) * MAX_LENGTH)
    elif hyper.loss_type == "dapo":
        loss = total / sum(map(len, per_row))
    else:
        loss = total / active
    return loss, current


def gradients_of_step(
    model: Any, batch: Sequence[TrainingGroup], hyper: Hyperparameters, device: DeviceChoice
) -> tuple[list[dict[str, torch.Tensor]], Any]:
    """The gradients that each optimiser step saw, and the step's metrics."""
    seen: list[dict[str, torch.Tensor]] = []
    trainer = Trainer(model, hyper, device)
    trainer._optimizer.register_step_pre_hook(
        lambda *_: seen.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    )
    return seen, trainer.step(batch)


def relative_error(got: dict[str, torch.Tensor], model: Any) -> float:
    expected = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert got.keys() == expected.keys()
    return max(float((got[name] - value).norm() / value.norm().clamp(min=1e-12)) for name, value in expected.items())


@pytest.mark.parametrize("loss_type", ["grpo", "bnpo", "dr_grpo", "dapo"])
@pytest.mark.parametrize("micro_batch_tokens", [4096, 30, 1])
@pytest.mark.parametrize("old", [False, True])
def test_gradients_equal_the_padded_reference(
    loss_type: str, micro_batch_tokens: int, old: bool, make_model: Callable[..., Any], cpu: DeviceChoice
) -> None:
    model = make_model(dtype=torch.float64)
    hyper = HYPER.model_copy(
        update={"loss_type": loss_type, "micro_batch_tokens": micro_batch_tokens, "temperature": 0.8}
    )
    reference = copy.deepcopy(model)
    loss, _ = reference_loss(reference, groups(old), hyper, None)
    loss.backward()  # type: ignore[no-untyped-call]
    seen, metrics = gradients_of_step(model, groups(old), hyper, cpu)
    assert relative_error(seen[0], reference) < 1e-6  # transformers norms in float32
    assert metrics.loss == pytest.approx(loss.item(), rel=1e-6)
    norm = torch.stack([p.grad.norm() for p in reference.parameters() if p.grad is not None]).norm()
    assert metrics.grad_norm == pytest.approx(float(norm), rel=1e-6)
    assert (metrics.groups_used, metrics.groups_skipped, metrics.external_used, metrics.tokens) == (2, 1, 1, 37)


@pytest.mark.parametrize("family", ["qwen3", "llama", "mistral", "phi", "phi3", "gemma", "gemma2", "gemma3_text"])
def test_gradients_of_other_families(family: str, make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model(family, dtype=torch.float64)
    reference = copy.deepcopy(model)
    reference_loss(reference, groups(), HYPER, None)[0].backward()  # type: ignore[no-untyped-call]
    seen, _ = gradients_of_step(model, groups(), HYPER, cpu)
    assert relative_error(seen[0], reference) < 1e-6


def test_inner_steps_use_the_ratio_to_the_first_pass(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model(dtype=torch.float64)
    hyper = HYPER.model_copy(update={"num_iterations": 3, "learning_rate": 1e-2})
    reference = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(reference.parameters(), lr=1e-2, weight_decay=0.0)
    seen, metrics = gradients_of_step(model, groups(), hyper, cpu)
    first: list[torch.Tensor] | None = None
    assert metrics.optimizer_steps == len(seen) == 3
    for got in seen:
        optimizer.zero_grad()
        loss, current = reference_loss(reference, groups(), hyper, first)
        loss.backward()  # type: ignore[no-untyped-call]
        assert relative_error(got, reference) < 1e-6
        optimizer.step()
        first = first or current
    assert metrics.clip_ratio > 0


def test_kl_to_the_first_weights(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model(dtype=torch.float64)
    frozen = copy.deepcopy(model)
    hyper = HYPER.model_copy(update={"beta": 0.5})
    trainer = Trainer(model, hyper, cpu)
    assert trainer.step(groups()).kl == pytest.approx(0.0, abs=1e-12)
    reference = copy.deepcopy(model)
    reference_loss(reference, groups(), hyper, None, frozen)[0].backward()  # type: ignore[no-untyped-call]
    seen: list[dict[str, torch.Tensor]] = []
    trainer._optimizer.register_step_pre_hook(
        lambda *_: seen.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    )
    metrics = trainer.step(groups())
    assert metrics.kl > 1e-6
    assert metrics.groups_skipped == 0, "the KL term trains groups without advantage too"
    assert relative_error(seen[0], reference) < 1e-6


def test_nothing_informative_leaves_weights_and_optimiser_alone(
    make_model: Callable[..., Any], cpu: DeviceChoice
) -> None:
    model = make_model()
    trainer = Trainer(model, HYPER, cpu)
    trainer.step(groups())  # momentum that a further step on zero gradients would follow
    before = copy.deepcopy(model.state_dict())
    for batch in ([groups()[1]], []):
        metrics = trainer.step(batch)
        assert (metrics.optimizer_steps, metrics.groups_used, metrics.groups_skipped) == (0, 0, len(batch))
    assert trainer.optimizer_steps == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_the_gradient_is_clipped(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model()
    seen, metrics = gradients_of_step(model, groups(), HYPER.model_copy(update={"max_grad_norm": 0.01}), cpu)
    norm = torch.stack([grad.norm() for grad in seen[0].values()]).norm()
    assert metrics.grad_norm > 0.02
    assert float(norm) == pytest.approx(0.01, rel=1e-3)


def test_a_gradient_that_is_not_finite_is_left_out(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    bad = groups()
    bad[0].advantages[0] = float("inf")
    trainer = Trainer(model, HYPER, cpu)
    assert trainer.step(bad).optimizer_steps == 0
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert trainer.step(groups()).optimizer_steps == 1


def test_learning_rate_zero_moves_nothing(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    trainer = Trainer(model, HYPER.model_copy(update={"learning_rate": 0.0}), cpu)
    assert trainer.step(groups()).optimizer_steps == 1
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_bfloat16_gradients_are_near(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    model = make_model()
    other = copy.deepcopy(model)
    exact, _ = gradients_of_step(model, groups(), HYPER, cpu)
    mixed, _ = gradients_of_step(other, groups(), HYPER, DeviceChoice(torch.device("cpu"), torch.bfloat16, 1))
    a = torch.cat([grad.flatten() for grad in exact[0].values()])
    b = torch.cat([grad.flatten() for grad in mixed[0].values()])
    assert b.dtype == torch.float32
    assert float(torch.nn.functional.cosine_similarity(a, b, dim=0)) > 0.98


def test_the_policy_learns_to_stop(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    """Rewarding completions that end raises the end token's probability."""
    end, prompt = 260, tokens(5, 1)
    batch = [TrainingGroup(prompt, [[7, end], [7, 9]], [1.0, -1.0])]
    model = make_model()

    def end_probability() -> float:
        with torch.no_grad():
            return float(model(input_ids=torch.tensor([[*prompt, 7]])).logits[0, -1].softmax(-1)[end])

    trainer = Trainer(model, HYPER, cpu)
    before = end_probability()
    for _ in range(20):
        trainer.step(batch)
    assert end_probability() > 2 * before


def test_a_peer_cannot_claim_any_ratio(make_model: Callable[..., Any], cpu: DeviceChoice) -> None:
    """A claimed log-probability of -1000 would make the ratio of a bad completion infinite."""
    prompt, ids = tokens(5, 1), [tokens(4, 2), tokens(3, 3)]

    def lying(external: bool) -> TrainingGroup:
        return TrainingGroup(prompt, ids, [-1.0, 1.0], [[-1000.0] * 4, [-1000.0] * 3], external=external)

    def norm(group: TrainingGroup, bound: float | None) -> float:
        return Trainer(make_model(), HYPER, cpu, max_external_ratio=bound).step([group]).grad_norm

    honest = norm(TrainingGroup(prompt, ids, [-1.0, 1.0], external=True), None)
    assert norm(lying(True), 4.0) <= 5 * honest
    assert not norm(lying(True), None) <= 1e6
    assert not norm(lying(False), 4.0) <= 1e6, "own log-probabilities are not bounded"
