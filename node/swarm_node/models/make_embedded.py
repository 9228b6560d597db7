"""Makes the embedded model from nothing: `python -m swarm_node.models.make_embedded --out DIR`.

Tokenizer, a Qwen2 network of about 0.85 million parameters, the supervised warm-up, a plain Hugging Face directory with
a manifest. Seeded; the weights are the same again on the same CPU and library versions, not bit by bit on others.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from swarm_node.models import MANIFEST, digests
from swarm_node.models.tokenizer import build_tokenizer
from swarm_node.models.warmup import Question, WarmupConfig, collect, warm_up
from swarm_node.tasks import TaskSet
from swarm_node.tokens import Prompts

MODEL_CARD = Path(__file__).with_name("embedded_card.md")


def build_model(tokenizer: Any) -> Qwen2ForCausalLM:
    """A freshly initialised network for `tokenizer`, float32."""
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        rope_theta=1e4,
        tie_word_embeddings=True,
        use_cache=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = Qwen2ForCausalLM(config)
    model.generation_config = GenerationConfig(
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


def make(config: WarmupConfig) -> tuple[Qwen2ForCausalLM, Any]:
    """Model and tokenizer, trained."""
    torch.manual_seed(config.seed)
    tasks = collect(TaskSet.load("embedded"), config.seeds_per_dataset)
    tokenizer = build_tokenizer(f"user\n{task.question}\nassistant\n{task.answer}" for group in tasks for task in group)
    prompts = Prompts(tokenizer)
    pool = [[Question(prompts.encode(task.question), task.answer) for task in group] for group in tasks]
    model = build_model(tokenizer)
    _say(f"{model.num_parameters()} parameters, {len(tokenizer)} tokens, {sum(map(len, pool))} questions")
    warm_up(model, lambda text: prompts.encode_completion(text, max_tokens=64), pool, config, _say)
    return model, tokenizer


def save(model: Qwen2ForCausalLM, tokenizer: Any, directory: Path, config: WarmupConfig) -> None:
    """Write the model directory: weights, tokenizer, card, manifest."""
    directory.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    shutil.copyfile(MODEL_CARD, directory / "README.md")
    for path in directory.iterdir():
        path.chmod(0o644)  # safetensors writes 0600; the image runs as another user
    manifest = {
        "made_by": "python -m swarm_node.models.make_embedded",
        "recipe": asdict(config),
        "torch": torch.__version__,
        "sha256": digests(directory),
    }
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")


def main() -> None:
    """Command line."""
    defaults = WarmupConfig()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="directory to write")
    parser.add_argument("--steps", type=int, default=defaults.steps)
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--wrong-answer", type=float, default=defaults.wrong_answer, help="headroom: a wrong target")
    parser.add_argument("--no-tags", type=float, default=defaults.no_tags, help="headroom: a target without tags")
    arguments = parser.parse_args()
    config = replace(
        defaults,
        steps=arguments.steps,
        seed=arguments.seed,
        wrong_answer=arguments.wrong_answer,
        no_tags=arguments.no_tags,
    )
    torch.set_num_threads(1)  # so small a network gains nothing from more, and one thread adds in a fixed order
    model, tokenizer = make(config)
    save(model, tokenizer, arguments.out, config)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
