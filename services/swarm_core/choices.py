"""What the owner chose on the page: handed from the login service to the workers of the host, once a round.

The login service keeps it on disk and answers it at `GET /api/node-settings`; a worker keeps what it was last told, so
that either may restart alone. A variable of the environment is stronger than a choice: the worker decides that for
itself, the page says so. Fields are only added.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# a Hugging Face name or an absolute path inside the container; "" is the default, `auto` picks by memory
MODEL_PATTERN = r"^(|auto|embedded|[A-Za-z0-9][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_.-]{1,96}|/[A-Za-z0-9_./-]{1,190})$"
HUB_TOKEN_NAME = "hub-token"  # noqa: S105 - a file's name: beside the worker API's token, for the workers to read
HUB_PUSH_STEPS = 50


class NodeChoices(BaseModel):
    """The three answers. `revision` rises with every change; `hub_token` rises when another token was stored."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())

    version: Literal[1] = 1
    revision: int = Field(0, ge=0)
    model: Annotated[str, StringConstraints(pattern=MODEL_PATTERN)] = ""
    hub_push: bool = False
    hub_token: int = Field(0, ge=0)
    market: bool | None = Field(None, description="None: not asked yet, the environment decides")
    answered: bool = False

    def needs_restart(self, started_with: NodeChoices) -> bool:
        """Whether a worker that started with other choices has to start again to follow these."""
        return (self.model, self.hub_push, self.hub_push and self.hub_token) != (
            started_with.model, started_with.hub_push, started_with.hub_push and started_with.hub_token,
        )  # fmt: skip
