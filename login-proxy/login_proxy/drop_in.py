"""Drop-in for an unmodified upstream trainer: `userData.json`, Basic authentication, peers without a daemon of ours.

Off unless `SWARM_DROP_IN=true`. Upstream's start script waits for `userData.json`, which is written beside the token,
and reads the first quoted word of it as orgId; its trainer posts to `http://worker:<token>@login-proxy:3001/api/`. It
brings a hivemind node and a `swarm.pem` of its own, so no daemon of ours can sign for its peer: who has the token
vouches for it.
"""

from __future__ import annotations

import base64
import binascii
import json
from pathlib import Path

from swarm_core.errors import FatalError
from swarm_core.files import write_atomic
from swarm_core.log import get_logger

log = get_logger("drop-in")

ORG = "local"
USER_DATA = "userData.json"
_MODE = 0o640


def write_user_data(directory: Path, account: str) -> None:
    """Tell upstream's start script that somebody is logged in. Raises FatalError when it cannot be written."""
    user = {"orgId": ORG, "address": account, "userId": ORG}
    text = json.dumps({ORG: user}, indent=2) + "\n"  # indented, org first: upstream reads it line by line
    try:
        write_atomic(directory / USER_DATA, text.encode(), _MODE)
    except OSError as error:
        raise FatalError(
            f"{directory / USER_DATA} cannot be written ({error.strerror}).", "check the api-token volume"
        ) from error
    log.info("upstream drop-in is on", directory=directory)


def basic_token(header: bytes) -> bytes | None:
    """The password of a Basic authorization header, whatever the user; None if it is no such header."""
    scheme, _, value = header.partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    except binascii.Error:
        return None
