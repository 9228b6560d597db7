"""Keys of the swarm's roles: one file each, made once, never overwritten.

Random keys (never a mnemonic) as 64 hexadecimal digits, mode 0600. Used by the deployer (all), the
round keeper and the judge.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Literal

from swarm_core.errors import ConfigError
from swarm_core.files import write_atomic
from swarm_core.settings import read_secret

Role = Literal["owner", "stage-manager", "bootnode-manager", "game-master"]

# of the coordinator
ROLES: tuple[Role, ...] = ("owner", "stage-manager", "bootnode-manager")
# of the market: a key in a directory of its own, the only one that the judge can read
MARKET_ROLES: tuple[Role, ...] = ("game-master",)
CONTRACT_ROLE: dict[Role, str] = {
    "owner": "OWNER_ROLE",
    "stage-manager": "STAGE_MANAGER_ROLE",
    "bootnode-manager": "BOOTNODE_MANAGER_ROLE",
}
_CURVE_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def key_path(directory: Path, role: Role) -> Path:
    """Where the key of `role` lies."""
    return directory / f"{role}.key"


def load_key(directory: Path, role: Role) -> bytes:
    """The 32 bytes of a role's key. Raises ConfigError if the file is missing or no key."""
    path = key_path(directory, role)
    try:
        key = bytes.fromhex(read_secret(path).removeprefix("0x"))
    except ValueError:
        key = b""
    if len(key) != 32 or not 0 < int.from_bytes(key, "big") < _CURVE_ORDER:
        raise ConfigError(f"{path} is no private key of 64 hexadecimal digits.", "restore the file from a backup")
    return key


def ensure_keys(directory: Path, roles: tuple[Role, ...] = ROLES) -> list[Role]:
    """Make the keys that are missing; returns the roles of the new ones. An existing file is never touched."""
    created: list[Role] = []
    for role in roles:
        path = key_path(directory, role)
        if os.path.lexists(path):
            load_key(directory, role)
            continue
        key = (1 + secrets.randbelow(_CURVE_ORDER - 1)).to_bytes(32, "big")
        write_atomic(path, key.hex().encode() + b"\n", mode=0o600, overwrite=False)
        created.append(role)
    return created
