"""The worker API's bearer token: a file that the worker can read, made at the first start and kept."""

from __future__ import annotations

import secrets
from pathlib import Path

from swarm_core.errors import FatalError
from swarm_core.files import write_atomic
from swarm_core.settings import read_secret

_TOKEN_BYTES = 32
_MIN_CHARS = 24


def ensure_token(path: Path) -> str:
    """The token in `path`, made if there is none. Raises ConfigError or FatalError if the file is damaged."""
    if not path.exists():
        try:
            write_atomic(path, f"{secrets.token_urlsafe(_TOKEN_BYTES)}\n".encode(), 0o640, overwrite=False)
        except OSError as error:
            raise FatalError(
                f"The worker API's token {path} cannot be written ({error.strerror}).", "check the api-token volume"
            ) from error
    token = read_secret(path)
    if len(token) < _MIN_CHARS:
        raise FatalError(f"The worker API's token {path} is too short.", "delete the file so that it is made again")
    return token
