"""Loads the model to train and its tokenizer: the embedded one, a directory, or a repository of the Hugging Face Hub.

Works with `device` (what fits) and `attention` (the model runs on our attention where that is supported).
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from swarm_core.errors import ConfigError
from swarm_core.log import get_logger
from swarm_node import attention, hub_client, lora
from swarm_node.device import DeviceChoice
from swarm_node.models import damaged_files, embedded_directory

log = get_logger("model")

EMBEDDED = "embedded"

# upstream's pools: what a GPU of that size trains in float32 with Adam
LARGE_GPU_BYTES = 40 * 1024**3
LARGE_MODELS = (
    "nvidia/AceInstruct-1.5B",
    "dnotitia/Smoothie-Qwen3-1.7B",
    "Gensyn/Qwen2.5-1.5B-Instruct",
)
SMALL_MODELS = ("Gensyn/Qwen2.5-0.5B-Instruct", "Qwen/Qwen3-0.6B")


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model in float32 on its device, with its tokenizer.

    `identity` names the exact starting weights, for the checkpoints' config hash.
    """

    model: Any
    tokenizer: Any
    name: str
    identity: str
    parameters: int


def resolve_name(spec: str, device: DeviceChoice, seed: str = "") -> str:
    """The model that `SWARM_MODEL=spec` means here: `auto` picks by GPU memory, the embedded one without a GPU.

    `seed` (the peer id) spreads the peers of a swarm over the pool and lets one peer always pick the same.
    """
    if spec != "auto":
        return spec
    if device.memory_bytes is None:
        return EMBEDDED
    pool = LARGE_MODELS if device.memory_bytes >= LARGE_GPU_BYTES else SMALL_MODELS
    return random.Random(seed).choice(pool)


def load(
    name: str,
    device: DeviceChoice,
    cache_directory: Path | None = None,
    local_files_only: bool = False,
    lora_rank: int = 0,
) -> LoadedModel:
    """Load the model called `name` (not `auto`) in float32 onto the device.

    Raises ConfigError when a path does not exist, or when the Hub does not have the model or cannot be reached.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as transformers_logging

    source = _source(name)
    if not Path(source).is_dir() and cache_directory is None and not local_files_only:
        hub_client.fetch(source)
    options: dict[str, Any] = {"cache_dir": cache_directory, "local_files_only": local_files_only}
    attention.register()
    if Path(source).is_dir():  # the bar is for downloads
        transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        model, info = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.float32, output_loading_info=True, **options
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ConfigError(
            f"The model {name!r} cannot be loaded: {_first_line(error)}.",
            "set SWARM_MODEL to embedded, to a directory with config.json and safetensors, or to a model that the "
            "Hugging Face Hub has and this machine can reach.",
        ) from error
    if info["missing_keys"]:  # transformers would fill them with random numbers and go on
        raise ConfigError(
            f"The weights of {name!r} lack {len(info['missing_keys'])} tensors.",
            "get the whole model, or name another.",
        )
    if tokenizer.eos_token_id is None:
        raise ConfigError(
            f"The tokenizer of {name!r} has no end-of-sequence token.",
            "set SWARM_MODEL to a model whose tokenizer has one.",
        )
    reason = attention.unsupported_reason(model, 1)
    if reason is None:
        model.set_attn_implementation(attention.NAME)
    else:
        log.warning("this model runs on transformers' own attention, slower", model=name, reason=reason)
    identity = _identity(name, source, model)
    if lora_rank:
        lora.inject(model, lora_rank)
        identity += f"+lora{lora_rank}"
    model.to(device.device)
    model.eval()
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return LoadedModel(model, tokenizer, name, identity, parameters)


def _source(name: str) -> str:
    """What transformers is asked for: a directory or a Hub name."""
    if name == EMBEDDED:
        if not (embedded_directory() / "config.json").is_file() or damaged_files(embedded_directory()):
            raise ConfigError(
                "The embedded model is missing from this installation, or damaged.",
                "rebuild the image, or set SWARM_MODEL to a path.",
            )
        return str(embedded_directory())
    path = Path(name).expanduser()
    if (path / "config.json").is_file():
        return str(path)
    if path.is_absolute() or name.startswith((".", "~")) or path.exists() or name.count("/") > 1:
        raise ConfigError(
            f"SWARM_MODEL names {path}, which is not a directory with a config.json.",
            "mount the model there, or set SWARM_MODEL to embedded, auto or a Hugging Face name.",
        )
    return name


def _identity(name: str, source: str, model: Any) -> str:
    """Hub: name and commit.  Directory: a digest over the weight files, so replaced weights are noticed."""
    commit = getattr(model.config, "_commit_hash", None)
    if commit:
        return f"{name}@{commit}"
    digest = hashlib.sha256()
    for path in sorted(Path(source).glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"{name}@{digest.hexdigest()}"


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
