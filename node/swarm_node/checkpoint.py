"""Rolling checkpoints that survive a kill at any moment: the newest few, and the best on held-out questions.

A checkpoint is a directory written under a temporary name, synced and renamed; a manifest holds the checksum of every
file.  Tensors are safetensors, everything else JSON.  Works with `train_state`, which gathers and restores the parts,
and `export`, which makes a plain Hugging Face directory of one.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from swarm_core.errors import SwarmError
from swarm_core.files import read_json, sync_directory, write_json
from swarm_core.log import get_logger

log = get_logger("checkpoint")

FORMAT = 1
BASE = "base"  # configuration and tokenizer of the model, written once for each config
_MANIFEST = "manifest.json"
_BEST = "best.json"
_STATE = "state.json"
_TENSOR_PARTS = ("weights", "optimizer", "rng")
_NAME = re.compile(r"round-(\d{12})-(\d{4})")  # round, and how often it was saved before


class CheckpointError(SwarmError):
    """A checkpoint could not be written (disk full, no permission); the older ones are untouched."""


@dataclass
class CheckpointState:
    """Everything a run needs to go on as if it had not stopped.

    `weights`, `optimizer` and `rng` hold named tensors; `extra` any JSON (sampler position, reward not yet sent, ...).
    """

    config_hash: str
    round: int
    optimizer_steps: int
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    rng: dict[str, torch.Tensor]
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Best:
    """The checkpoint whose held-out reward was the highest."""

    name: str
    held_out: float


@dataclass(frozen=True)
class Saved:
    """A checkpoint on disk. `sha256` is that of its weights file, which is the same for the same weights."""

    path: Path
    sha256: str


class CheckpointStore:
    """Checkpoints under `directory`/<config hash>/round-<number>-<time saved>.

    Kept are the newest `keep` of each config, and the best one on held-out questions wherever it stands.
    """

    def __init__(self, directory: Path, keep: int = 3) -> None:
        if keep < 1:
            raise ValueError("at least one checkpoint is kept")
        self.directory = directory
        self._keep = keep

    def save(self, state: CheckpointState, held_out: float | None = None) -> Saved:
        """Write `state`, then drop what is beyond `keep`.  Raises CheckpointError.

        `held_out` is the reward of exactly these weights on held-out questions; the highest one marks the best.
        """
        home = self.home(state.config_hash)
        temporary: Path | None = None
        try:
            home.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=home))
            sha256 = self._write(temporary, state)
            # a round that is redone after a resume gets a name of its own, so nothing is ever replaced
            before = len(list(home.glob(f"round-{state.round:012d}-*")))
            final = home / f"round-{state.round:012d}-{before:04d}"
            os.rename(temporary, final)
            sync_directory(home)
            if held_out is not None and ((best := self.best(state.config_hash)) is None or held_out > best.held_out):
                write_json(home / _BEST, {"name": final.name, "held_out": held_out})
        except (OSError, SafetensorError) as error:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
            raise CheckpointError(f"round {state.round} was not saved: {error}") from error
        self._prune(home)
        return Saved(final, sha256)

    def best(self, config_hash: str) -> Best | None:
        """The best checkpoint of that config, None as long as nothing was evaluated."""
        home = self.home(config_hash)
        try:
            found = read_json(home / _BEST)
            if found is None:
                return None
            best = Best(str(found["name"]), float(found["held_out"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("the mark of the best checkpoint is damaged, it will be set anew", reason=str(error))
            return None
        return best if _NAME.fullmatch(best.name) and (home / best.name).is_dir() else None

    def load_best(self, config_hash: str) -> CheckpointState | None:
        """The best checkpoint if it is intact."""
        best = self.best(config_hash)
        return None if best is None else self._intact(self.home(config_hash) / best.name)

    def configs(self) -> list[str]:
        """Config hashes that have a checkpoint, the one saved last first."""
        times = {path.parent.name: path.stat().st_mtime_ns for path in sorted(self.directory.glob("*/round-*"))}
        return sorted(times, key=lambda name: times[name], reverse=True)

    def load_latest(self, config_hash: str) -> CheckpointState | None:
        """The newest intact checkpoint of that config, or None.  Damaged ones are logged and passed over."""
        for path in self._newest_first(self.home(config_hash)):
            if (state := self._intact(path)) is not None:
                return state
        others = sorted(path.name for path in self.directory.glob("*") if path.is_dir() and path.name != config_hash)
        if others:
            log.info("no checkpoint of this model and configuration, others are kept aside", others=",".join(others))
        return None

    def _intact(self, path: Path) -> CheckpointState | None:
        try:
            return self._read(path)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            log.warning("checkpoint skipped", path=path.name, reason=str(error))
            return None

    def home(self, config_hash: str) -> Path:
        """Where the checkpoints of a config lie."""
        if not re.fullmatch(r"[0-9a-f]{8,64}", config_hash):
            raise ValueError("a config hash is 8 to 64 hexadecimal digits")
        return self.directory / config_hash

    @staticmethod
    def _newest_first(home: Path) -> list[Path]:
        return sorted((path for path in home.glob("round-*") if _NAME.fullmatch(path.name)), reverse=True)

    def _write(self, directory: Path, state: CheckpointState) -> str:
        for part in _TENSOR_PARTS:
            tensors = {name: tensor.detach().contiguous() for name, tensor in getattr(state, part).items()}
            save_file(tensors, directory / f"{part}.safetensors")
        counters = {"round": state.round, "optimizer_steps": state.optimizer_steps, "extra": state.extra}
        (directory / _STATE).write_text(json.dumps(counters))
        names = [*(f"{part}.safetensors" for part in _TENSOR_PARTS), _STATE]
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "config_hash": state.config_hash,
            "sha256": {name: _digest(directory / name) for name in names},
        }
        (directory / _MANIFEST).write_text(json.dumps(manifest))
        for name in [*names, _MANIFEST]:
            _sync_file(directory / name)
        sync_directory(directory)
        return str(manifest["sha256"]["weights.safetensors"])

    def _read(self, path: Path) -> CheckpointState:
        manifest = json.loads((path / _MANIFEST).read_text())
        if manifest["format"] != FORMAT:
            raise ValueError(f"format {manifest['format']} is not known here")
        for name in [*(f"{part}.safetensors" for part in _TENSOR_PARTS), _STATE]:
            if _digest(path / name) != manifest["sha256"][name]:
                raise ValueError(f"{name} does not have the checksum it was written with")
        counters = json.loads((path / _STATE).read_text())
        tensors = {part: load_file(path / f"{part}.safetensors") for part in _TENSOR_PARTS}
        return CheckpointState(
            config_hash=manifest["config_hash"],
            round=counters["round"],
            optimizer_steps=counters["optimizer_steps"],
            extra=counters["extra"],
            **tensors,
        )

    def _prune(self, home: Path) -> None:
        """Remove old checkpoints and what a killed process left half written."""
        kept: dict[str, Path] = {}
        for path in self._newest_first(home):
            kept.setdefault(path.name.rpartition("-")[0], path)  # of a round saved twice, the later one
        wanted = set(list(kept.values())[: self._keep])
        if (best := self.best(home.name)) is not None:
            wanted.add(home / best.name)
        saved = set(self._newest_first(home))
        for path in [*sorted(saved - wanted), *home.glob(".writing-*")]:
            try:
                shutil.rmtree(path)
            except OSError as error:
                log.warning("old checkpoint not removed", path=path.name, reason=str(error))


def hash_config(*parts: Any) -> str:
    """The config hash of a run: 16 hexadecimal digits over JSON-able parts (model identity, hyperparameters)."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flatten_optimizer(state: dict[int, dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """AdamW's per-parameter state as flat names, `3.exp_avg`."""
    return {f"{index}.{name}": tensor for index, entry in state.items() for name, tensor in entry.items()}


def unflatten_optimizer(tensors: dict[str, torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    """The inverse of `flatten_optimizer`."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in _ordered(tensors):
        index, _, key = name.partition(".")
        state.setdefault(int(index), {})[key] = tensor
    return state


def _ordered(tensors: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    return iter(sorted(tensors.items(), key=lambda item: (int(item[0].partition(".")[0]), item[0])))
