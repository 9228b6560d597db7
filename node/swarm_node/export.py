"""`swarm-export`: a checkpoint as a plain Hugging Face directory, which transformers, vLLM and others load.

    swarm-export --out DIR [--state-dir /state] [--best] [--config HASH]

Beside the checkpoints of a config lies its `base`: the model's configuration and tokenizer, written once, so that an
export needs neither the network nor the original model. Works with `checkpoint`; the Hub push uploads what this makes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarm_core.errors import FatalError
from swarm_core.log import get_logger

if TYPE_CHECKING:
    from swarm_node.checkpoint import CheckpointState, CheckpointStore

log = get_logger("export")


def export_huggingface(model: Any, tokenizer: Any, directory: Path) -> None:
    """Write the live model as a plain Hugging Face directory.  Raises CheckpointError."""
    from safetensors import SafetensorError

    from swarm_node.checkpoint import CheckpointError

    try:
        model.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"the model was not exported to {directory}: {error}") from error


def write_base(model: Any, tokenizer: Any, base: Path) -> None:
    """Configuration and tokenizer of `model` into `base`, all or nothing.  Raises CheckpointError.

    Written again at every start: the files are small and may come from a newer version of the libraries.
    """
    from swarm_node.checkpoint import CheckpointError

    temporary: Path | None = None
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".base-", dir=base.parent))
        model.config.save_pretrained(temporary)
        if model.generation_config is not None:
            model.generation_config.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        temporary.chmod(0o750)
        shutil.rmtree(base, ignore_errors=True)
        os.rename(temporary, base)
    except OSError as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise CheckpointError(f"the model's configuration was not saved: {error}") from error


def export_checkpoint(state: CheckpointState, base: Path, directory: Path) -> None:
    """Write the weights of `state` with the files of `base` into `directory`.

    Raises CheckpointError when the two do not belong together or the disk refuses.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    from swarm_node.checkpoint import CheckpointError
    from swarm_node.lora import merged

    try:
        with torch.device("meta"):  # the shape only: the weights are those of the checkpoint
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(base), dtype=torch.float32)
        missing, unexpected = model.load_state_dict(merged(state.weights), strict=False, assign=True)
        model.tie_weights()
        absent = [name for name, value in model.state_dict().items() if value.is_meta]
        if absent or unexpected:
            raise ValueError(f"{len(absent)} tensors are missing, {len(unexpected)} are unknown ({missing[:1]})")
        if (base / "generation_config.json").is_file():
            model.generation_config = GenerationConfig.from_pretrained(base)
        model.save_pretrained(directory)
        for path in sorted(base.iterdir()):  # the tokenizer's files; the model's were written anew
            if path.is_file() and not (directory / path.name).exists():
                shutil.copyfile(path, directory / path.name)
        for path in directory.iterdir():
            path.chmod(0o644)  # safetensors writes 0600
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"the checkpoint was not exported to {directory}: {error}") from error


def find(store: CheckpointStore, config: str | None, best: bool) -> CheckpointState:
    """The checkpoint asked for.  Raises FatalError that says what there is instead."""
    known = store.configs()
    if not known or (config is not None and config not in known):
        listed = f"there are {', '.join(known)}" if known else "there is none at all"
        raise FatalError(f"No checkpoint of the configuration {config or 'used last'}: {listed}.", "see --state-dir")
    chosen = config or known[0]
    state = store.load_best(chosen) if best else store.load_latest(chosen)
    if state is None:
        why = "nothing was evaluated on held-out questions yet" if best else "all of them are damaged"
        raise FatalError(f"No usable checkpoint of {chosen}: {why}.", "leave --best away" if best else "restore one")
    return state


def main() -> None:
    """Console script."""
    parser = argparse.ArgumentParser(prog="swarm-export", description="A checkpoint as a plain Hugging Face directory.")
    parser.add_argument("--out", type=Path, required=True, help="directory to write; must not exist or be empty")
    parser.add_argument("--state-dir", type=Path, default=Path("/state"), help="the worker's state directory")
    parser.add_argument("--best", action="store_true", help="the best on held-out questions instead of the newest")
    parser.add_argument("--config", help="config hash, a directory below checkpoints; else the one saved last")
    options = parser.parse_args()
    from swarm_node.checkpoint import BASE, CheckpointError, CheckpointStore

    try:
        if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
            raise FatalError(f"{options.out} is not empty.", "name another directory")
        store = CheckpointStore(options.state_dir / "checkpoints")
        state = find(store, options.config, options.best)
        export_checkpoint(state, store.home(state.config_hash) / BASE, options.out)
    except (FatalError, CheckpointError, OSError) as error:
        sys.exit(f"swarm-export: {error}")
    kind = "best" if options.best else "newest"
    print(f"{kind} checkpoint of {state.config_hash}, round {state.round}: {options.out}")


if __name__ == "__main__":
    main()
