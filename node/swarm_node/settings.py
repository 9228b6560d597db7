"""Settings of the worker. Hyperparameters left unset come from the preset of the model (`hyper`)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, model_validator
from pydantic_settings import NoDecode

from swarm_chain.settings import ChainSettings
from swarm_node.hyper import Hyperparameters, LossType, ScaleRewards, StopString, default_hyperparameters

_HYPERPARAMETERS = frozenset(Hyperparameters.model_fields) - {
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "micro_batch_tokens",
}

_FOREIGN_CHAIN_SECONDS = 10_800


def _strings(value: Any) -> Any:
    """A JSON list of strings, or one string as it is. Raises ValueError for another list."""
    if not isinstance(value, str):
        return value
    if not value.startswith("["):
        return (value,)
    try:
        return TypeAdapter(tuple[StopString, ...]).validate_json(value, strict=True)
    except ValidationError:
        raise ValueError('not a JSON list of strings that are not empty, such as ["</answer>", "\\n\\n"]') from None


class NodeSettings(ChainSettings):
    """What `swarm-node` reads from the environment."""

    node_name: str = Field("main", pattern=r"^[a-z0-9-]{1,32}$", description="Label of this node in logs and metrics.")
    run_dir: Path = Field(Path("/run/swarm"), description="Directory of the sockets.")
    state_dir: Path = Field(Path("/state"), description="Checkpoints, ledger and history.")
    model: str = Field("", description="embedded, auto, a path or a hub name; empty: embedded on a CPU, auto on CUDA.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where to compute.")
    tasks: str = Field("", description="embedded, rgym or the path of a YAML; empty: what fits the model.")
    seed: int = Field(42, ge=0, description="Seed of the sampling; questions depend on peer and round as well.")
    eval_steps: int = Field(20, ge=0, description="Rounds between two evaluations on held-out questions; 0: never.")
    trainer: Literal["native", "trl"] = Field("native", description="native, or TRL's GRPOTrainer.")
    trl_config: str = Field("", description="Path of a YAML with fields of TRL's GRPOConfig, for SWARM_TRAINER=trl.")
    lora_rank: int = Field(0, ge=0, le=256, description="0: train all weights; else LoRA adapters of this rank.")
    tensorboard: int = Field(1, ge=0, le=1, description="1: write TensorBoard files under state_dir/tensorboard.")
    hub_push_steps: int = Field(0, ge=0, description="Rounds between two pushes to the Hugging Face Hub; 0: never.")
    hub_token_file: Path = Field(Path("/state/hub-token"), description="File with a Hub token that may write.")

    judge_url: str = Field("http://judge:8100", description="The swarm's judge; empty: none.")
    judge_steps: int = Field(1, ge=0, description="Rounds between two questions of the judge; 0: never.")
    play_market: int = Field(0, ge=0, le=1, description="1: bet on the market's games unless the page says otherwise.")
    play_length_normalised: int = Field(0, ge=0, le=1, description="1: choices compare by log-probability per token.")

    login_url: str = Field("http://login-proxy:3001", description="Worker API of the login service.")
    api_token_file: Path = Field(Path("/run/api-token/token"), description="Bearer token of the worker API.")
    submit_seconds: int | None = Field(
        None,
        ge=0,
        description="Seconds between reports of rewards; 0: every round. Unset: 0 on the local chain, else 10800.",
    )
    exchange_seconds: float = Field(10.0, ge=0.1, le=120, description="Time for asking other peers in a round.")
    dht_compat: Literal["off", "genrl"] = Field("off", description="Share with genuine genrl 0.1.11 peers too.")
    max_age_seconds: float = Field(600.0, gt=0, description="Older groups of other peers are not used.")

    num_questions: int | None = Field(None, ge=1, le=64, description="I: own questions a round.")
    num_generations: int | None = Field(None, ge=2, le=64, description="G: completions a question.")
    num_external: int | None = Field(None, ge=0, le=64, description="J: groups of other peers a round.")
    max_completion_length: int | None = Field(None, ge=1, le=32768, description="Tokens of a completion.")
    temperature: float | None = Field(None, gt=0, description="Sampling temperature.")
    top_p: float | None = Field(None, gt=0, le=1, description="Nucleus sampling.")
    top_k: int | None = Field(None, ge=0, description="0: no limit.")
    stop_strings: Annotated[tuple[StopString, ...] | None, NoDecode, BeforeValidator(_strings)] = Field(
        None, max_length=16, description="Strings that end a completion: one, or a JSON list."
    )
    learning_rate: float | None = Field(None, ge=0, description="AdamW's step size.")
    loss_type: LossType | None = Field(None, description="As in TRL: grpo, bnpo, dr_grpo, dapo.")
    scale_rewards: ScaleRewards | None = Field(None, description="As in TRL: group, batch, none.")
    epsilon: float | None = Field(None, gt=0, lt=1, description="Lower clip range.")
    epsilon_high: float | None = Field(None, gt=0, description="Upper clip range.")
    beta: float | None = Field(None, ge=0, description="Weight of the KL term.")
    num_iterations: int | None = Field(None, ge=1, description="Optimiser steps on one batch.")
    max_grad_norm: float | None = Field(None, gt=0, description="Gradient clipping.")
    weight_decay: float | None = Field(None, ge=0, description="AdamW's weight decay.")

    def writable_directories(self) -> tuple[Path, ...]:
        return (self.run_dir, self.state_dir)

    def report_every(self) -> int:
        """Seconds between two reports: every round where gas is free, every three hours where it may cost."""
        if self.submit_seconds is not None:
            return self.submit_seconds
        return 0 if self.coordinator is None else _FOREIGN_CHAIN_SECONDS

    @model_validator(mode="after")
    def _clip_range(self) -> Self:
        self.hyperparameters(self.model or "embedded")  # epsilon and epsilon_high may contradict each other
        return self

    def hyperparameters(self, model: str) -> Hyperparameters:
        """The preset of `model` (resolved name) with what the operator set. Raises ValueError on a contradiction."""
        chosen = {name: value for name in _HYPERPARAMETERS if (value := getattr(self, name)) is not None}
        return Hyperparameters.model_validate({**default_hyperparameters(model).model_dump(), **chosen})
