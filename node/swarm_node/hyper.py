"""Hyperparameters of the policy and the trainer, under the names of TRL's `GRPOConfig`.

Read before torch is imported, so this module must stay free of it.  Works with `policy`, `advantages` and `train`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

LossType = Literal["grpo", "bnpo", "dr_grpo", "dapo"]
ScaleRewards = Literal["group", "batch", "none"]
StopString = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Hyperparameters(BaseModel):
    """What shapes a round of training; defaults are upstream's for a model of a billion parameters.

    Two questions, two completions each, two external groups, 256 new tokens and a learning rate of 1e-5 are what the
    swarm's other nodes run on a GPU (the paper's 1e-3 is far above usual practice for such models).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    # the round
    num_questions: int = Field(2, ge=1, description="I: questions of our own in a round")
    num_generations: int = Field(2, ge=2, description="G: completions of one question")
    num_external: int = Field(2, ge=0, description="J: groups taken from other peers in a round")

    # sampling
    max_completion_length: int = Field(256, ge=1, description="tokens, the end-of-sequence token included")
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="0: no limit")
    stop_strings: tuple[StopString, ...] = Field((), max_length=16, description="a completion ends with the first")

    # objective
    loss_type: LossType = "bnpo"
    scale_rewards: ScaleRewards = "group"
    epsilon: float = Field(0.2, gt=0, lt=1)
    epsilon_high: float = Field(0.28, gt=0)
    beta: float = Field(
        0.0, ge=0, description="weight of the KL term; above 0 a frozen reference copy is kept in memory"
    )
    num_iterations: int = Field(1, ge=1, description="optimiser steps on one batch")

    # optimiser (AdamW)
    learning_rate: float = Field(1e-5, ge=0)
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    adam_epsilon: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)

    # memory
    micro_batch_tokens: int = Field(4096, ge=1, description="packed tokens forwarded at once")

    @model_validator(mode="after")
    def _clip_range_contains_one_sided_room(self) -> Self:
        if self.epsilon_high < self.epsilon:
            raise ValueError(f"epsilon_high ({self.epsilon_high}) must not be below epsilon ({self.epsilon})")
        return self

    def identity(self) -> dict[str, Any]:
        """What a checkpoint's config hash is over. Fields added since 0.1.0 count when they are set only, or every
        node would begin anew with the update that brings them."""
        return self.model_dump(exclude=set() if self.stop_strings else {"stop_strings"})


def embedded_hyperparameters() -> Hyperparameters:
    """The preset of the embedded model (0.85 M parameters, answers of 4 to 7 tokens).

    8 × 8 with 4 external groups is the paper's batch.  3e-4 was measured best: 1e-3 collapses the answers of so small
    a model, 1e-5 does not move it in a hundred rounds.
    """
    return Hyperparameters(
        num_questions=8, num_generations=8, num_external=4, max_completion_length=16, learning_rate=3e-4
    )


def default_hyperparameters(model: str) -> Hyperparameters:
    """The preset for the model named by `SWARM_MODEL`, after `auto` was resolved."""
    return embedded_hyperparameters() if model == "embedded" else Hyperparameters()
