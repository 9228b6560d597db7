"""LoRA (arXiv 2106.09685) for small cards: adapters on every linear layer of the decoder, everything else frozen.

The adapters are injected, so the model keeps its class, its names and our attention. An export merges them back into
plain weights. Works with `model` and `export`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

SCALE = 2.0  # alpha / rank, fixed so that a checkpoint needs to name neither
ADAPTER = "default"
_PART = re.compile(
    rf"^(?P<module>.+)\.(?P<part>base_layer|lora_A\.{ADAPTER}|lora_B\.{ADAPTER})\.(?P<kind>weight|bias)$"
)


def inject(model: Any, rank: int, seed: int = 0) -> None:
    """Put adapters of `rank` into `model`, in place. They change nothing until they are trained."""
    from peft import LoraConfig, inject_adapter_in_model

    head = model.get_output_embeddings()
    names = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head
    }
    config = LoraConfig(r=rank, lora_alpha=round(SCALE * rank), target_modules=sorted(names), lora_dropout=0.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # a resumed or another node's run begins with the same adapters
        inject_adapter_in_model(config, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name)


def merged(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`weights` under the names of the plain model: W + 2·B·A where there are adapters, the rest as it is."""
    plain: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    for name, tensor in weights.items():
        match = _PART.match(name)
        if match is None:
            plain[name] = tensor
        elif match["kind"] == "bias":
            plain[f"{match['module']}.bias"] = tensor
        else:
            parts.setdefault(match["module"], {})[match["part"].partition(".")[0]] = tensor
    for module, found in parts.items():
        plain[f"{module}.weight"] = found["base_layer"] + SCALE * (found["lora_B"] @ found["lora_A"])
    return plain
