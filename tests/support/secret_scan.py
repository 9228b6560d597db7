"""Do known secrets stand in anything that a run produced? Who calls gathers logs, inspect output, metrics as bytes.

A secret is looked for as it is, in hexadecimal and in base64, in both alphabets; binary ones also by pieces, so that a
part of a key is found as well.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from login_proxy.keystore import Keystore

_LEAST = 12  # shorter texts occur by chance
_PIECE = 24


@dataclass(frozen=True)
class Finding:
    """A secret, by its name, and where it stands. The secret itself is never shown."""

    secret: str
    where: str


def forms(secret: bytes) -> set[bytes]:
    """All ways in which the secret is looked for. Raises ValueError for one that is too short to look for."""
    secret = secret.strip(b"\r\n")
    if len(secret) < _LEAST:
        raise ValueError("too short to be looked for")
    found = {secret, secret.hex().encode(), secret.hex().upper().encode()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        found.add(encode(secret).rstrip(b"="))
    if not secret.isascii():  # a key file: pieces of it, and of its base64 at each alignment
        pieces = [secret[start : start + _PIECE] for start in range(8, len(secret) - _PIECE, _PIECE)]
        found.update(pieces)
        found.update(piece.hex().encode() for piece in pieces)
        whole = base64.b64encode(secret).rstrip(b"=")
        found.update(whole[start : start + 2 * _PIECE] for start in range(16, len(whole) - 2 * _PIECE, 2 * _PIECE))
    return found


def scan(sources: Mapping[str, bytes], secrets: Mapping[str, bytes]) -> list[Finding]:
    """Every secret in every source."""
    wanted = {name: forms(secret) for name, secret in secrets.items()}
    lowered = {where: data.lower() for where, data in sources.items()}
    return [
        Finding(name, where)
        for where, data in lowered.items()
        for name, ways in wanted.items()
        if any(form.lower() in data for form in ways)
    ]


def of_login(directory: Path) -> dict[str, bytes]:
    """The secrets of a login service installed below `directory` (see `tests.support.login_service`)."""
    keystore = Keystore(directory / "keys/account", directory / "state/unlock.secret")
    secrets = {
        "api token": (directory / "token/token").read_bytes(),
        "unlock secret": (directory / "state/unlock.secret").read_bytes(),
        "account key": bytes(keystore.load().key),
        "keystore ciphertext": keystore.path.read_bytes(),
    }
    peer = directory / "keys/peer/swarm.pem"
    return secrets | ({"peer key": peer.read_bytes()} if peer.exists() else {})


def of_processes(pids: Iterable[int]) -> dict[str, bytes]:
    """Arguments and environment of processes, as everybody on the host may see them."""
    sources = {}
    for pid in pids:
        for name in ("cmdline", "environ"):
            sources[f"{name} of {pid}"] = Path(f"/proc/{pid}/{name}").read_bytes()
    return sources
