"""The models that the page offers, with what training them needs. Works with the settings page.

Training in float32 with Adam keeps weights, gradients and two moments: 16 bytes a parameter. Activations and logits of
upstream's batch (2 × 2 completions of 256 tokens, a vocabulary of 151,936) come on top.
"""

from __future__ import annotations

from dataclasses import dataclass

BYTES_PER_PARAMETER = 16
OVERHEAD_BYTES = 2_000_000_000
EMBEDDED_BYTES = 700_000_000


@dataclass(frozen=True)
class ModelOption:
    """One model of the list; `name` is what SWARM_MODEL takes."""

    name: str
    parameters: int

    @property
    def need_bytes(self) -> int:
        """Memory of the GPU, or RAM on a CPU, that training needs: an estimate."""
        return BYTES_PER_PARAMETER * self.parameters + OVERHEAD_BYTES


# upstream's five
HUB_MODELS = (
    ModelOption("Gensyn/Qwen2.5-0.5B-Instruct", 494_000_000),
    ModelOption("Qwen/Qwen3-0.6B", 596_000_000),
    ModelOption("nvidia/AceInstruct-1.5B", 1_544_000_000),
    ModelOption("dnotitia/Smoothie-Qwen3-1.7B", 1_721_000_000),
    ModelOption("Gensyn/Qwen2.5-1.5B-Instruct", 1_544_000_000),
)
