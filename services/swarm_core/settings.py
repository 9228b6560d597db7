"""Settings base: frozen, `SWARM_` prefix, every problem reported at once.

Each process has one subclass of `SwarmSettings` and calls `load` before it imports anything heavy. Nothing
else in the project reads the environment.
"""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from swarm_core.env_names import KNOWN_NAMES
from swarm_core.errors import ConfigError

PREFIX = "SWARM_"
ENV_VERSION = 1
_MAX_SECRET_BYTES = 4096
_NOT_SHOWN = ("secret", "url")  # fields whose value may hold a key


def _readable_file(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"the file {path} does not exist")
    if not os.access(path, os.R_OK):
        raise ValueError(f"the file {path} cannot be read by uid {os.getuid()}")
    return path


# a path to a file that holds a secret; the secret itself never stands in the environment
SecretFile = Annotated[Path, AfterValidator(_readable_file)]


def read_secret(path: Path) -> str:
    """The secret in `path`, stripped. Raises ConfigError if it is missing, empty, too long or not ASCII."""
    try:
        text = path.read_bytes()[: _MAX_SECRET_BYTES + 1]
    except OSError as error:
        raise ConfigError(
            f"The secret file {path} cannot be read ({error.strerror}).", "check the volume and its owner"
        ) from error
    if len(text) > _MAX_SECRET_BYTES or not text.strip() or not text.isascii():
        raise ConfigError(
            f"The secret file {path} is empty, too long or not plain text.",
            "delete it so that it is made again, or restore it",
        )
    return text.decode("ascii").strip()


class SwarmSettings(BaseSettings):
    """What every process understands. Field `foo_bar` is the variable `SWARM_FOO_BAR`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        validate_default=False,
        case_sensitive=False,
        protected_namespaces=(),
        populate_by_name=True,
    )

    env_version: int = Field(
        ENV_VERSION,
        ge=ENV_VERSION,
        le=ENV_VERSION,
        description="Schema version of .env; raised when a variable changes its meaning.",
    )
    log_format: Literal["text", "json"] = Field("text", description="Log lines as text for a terminal or as JSON.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe log lines shown.")

    def writable_directories(self) -> Iterable[Path]:
        """Directories that the process must be able to write; probed by `load`."""
        return ()


S = TypeVar("S", bound=SwarmSettings)


def load(cls: type[S], *, probe: bool = True, **overrides: Any) -> S:
    """Read `cls` from the environment.

    Raises ConfigError with every problem found: unknown `SWARM_*` names, values that do not parse, and (`probe`)
    directories that cannot be written.
    """
    problems = list(_unknown_names(os.environ))
    settings: S | None = None
    try:
        settings = cls(**overrides)
    except ValidationError as error:
        problems += [_problem(entry) for entry in error.errors(include_url=False)]
    if settings is not None and probe:
        problems += [p for d in settings.writable_directories() if (p := _unwritable(d))]
    if problems or settings is None:
        raise settings_error(problems)
    return settings


def settings_error(problems: Sequence[str]) -> ConfigError:
    """All `problems` as one error with its remedy."""
    error = ConfigError("; ".join(problems) + ".", "correct .env (see .env.example) or the volume, then start again")
    error.problems = tuple(problems)
    return error


def inherited_environment() -> dict[str, str]:
    """A copy of this process's environment, for a child process of ours."""
    return dict(os.environ)


def _unknown_names(environment: Mapping[str, str]) -> Iterable[str]:
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in KNOWN_NAMES:
            tails = [known.removeprefix(PREFIX) for known in sorted(KNOWN_NAMES)]
            near = difflib.get_close_matches(name.upper().removeprefix(PREFIX), tails, n=1, cutoff=0.7)
            hint = f" (did you mean {PREFIX}{near[0]}?)" if near else ""
            yield f"{name} is not a known setting{hint}"


def _problem(entry: Mapping[str, Any]) -> str:
    message = str(entry["msg"]).removeprefix("Value error, ")
    field = ".".join(str(part) for part in entry["loc"])
    if not field:  # a contradiction between several settings; the message names them
        return message
    name = field.upper() if field.upper().startswith(PREFIX) else f"{PREFIX}{field.upper()}"
    hidden = entry["type"] == "missing" or any(word in field for word in _NOT_SHOWN)
    shown = "" if hidden else f" (got {str(entry.get('input'))[:80]!r})"
    return f"{name}: {message[:1].lower()}{message[1:]}{shown}"


def _unwritable(directory: Path) -> str | None:
    """A sentence if a file cannot be made in `directory`, else None. Makes the directory if its parent allows."""
    try:
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, prefix=".probe-"):
            return None
    except OSError as error:
        return f"the directory {directory} cannot be written by uid {os.getuid()} ({error.strerror})"
