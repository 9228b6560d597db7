"""The compiled contracts, as `contracts/build.mjs` writes them: ABI and creation bytecode."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Artifact:
    """One compiled contract."""

    contract: str
    compiler: str
    abi: tuple[dict[str, Any], ...]
    bytecode: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the creation bytecode, in hexadecimal: tells versions of a contract apart."""
        return hashlib.sha256(self.bytecode).hexdigest()


@cache
def load(contract: str) -> Artifact:
    """The artefact of `contract` (`SwarmCoordinator`, `PredictionMarket` or `ERC1967Proxy`)."""
    raw = json.loads(files(__name__).joinpath(f"{contract}.json").read_bytes())
    code = bytes.fromhex(raw["bytecode"].removeprefix("0x"))
    return Artifact(raw["contract"], raw["compiler"], tuple(raw["abi"]), code)
