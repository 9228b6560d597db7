"""Small random models and a byte-level tokenizer, made in memory: no files, no network."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.support.byte_tokenizer import byte_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

from swarm_node import attention
from swarm_node.device import DeviceChoice


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    """Every byte a token, <answer> tags as in the embedded model, <|im_end|> (260) ends a turn."""
    return byte_tokenizer(("<answer>", "</answer>"))


@pytest.fixture
def cpu() -> DeviceChoice:
    return DeviceChoice(torch.device("cpu"), None, 1)


@pytest.fixture
def make_model() -> Callable[..., Any]:
    """A random model of a family with 261 tokens, its weights scaled up to make predictions far from uniform."""

    def make(family: str = "qwen2", dtype: torch.dtype = torch.float32, seed: int = 0, **overrides: Any) -> Any:
        shape = {
            "vocab_size": 261,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 8,
            "max_position_embeddings": 256,
            "pad_token_id": 258,
            "eos_token_id": 260,
            "bos_token_id": None,
            "tie_word_embeddings": True,
        }
        torch.manual_seed(seed)
        attention.register()
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **(shape | overrides))).to(dtype)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.mul_(8)
        if attention.unsupported_reason(model, 1) is None:
            model.set_attn_implementation(attention.NAME)
        return model.eval()

    return make
