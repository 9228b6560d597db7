"""A Llama of random weights with a tokenizer of bytes, as a directory that `SWARM_MODEL` may name."""

from __future__ import annotations

from pathlib import Path

from tests.support.byte_tokenizer import byte_tokenizer


def make_llama(directory: Path, hidden: int = 64, intermediate: int = 96, layers: int = 2, heads: int = 4) -> None:
    """Write weights, configuration and tokenizer; two heads share a key head."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=hidden, intermediate_size=intermediate, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=heads // 2, max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
        tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
