"""Proves: the shipped model is whole, small, starts at the intended reward, and means the same after a reload."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from swarm_node.device import choose_device
from swarm_node.hyper import embedded_hyperparameters
from swarm_node.models import MANIFEST, damaged_files, embedded_directory
from swarm_node.models.make_embedded import MODEL_CARD, build_model, save
from swarm_node.models.tokenizer import TAGS, build_tokenizer
from swarm_node.models.warmup import WarmupConfig, collect
from swarm_node.policy import Policy
from swarm_node.rewards import score
from swarm_node.round import Learner
from swarm_node.tasks import TaskSet, is_held_out
from swarm_node.tokens import Prompts
from swarm_node.train import Trainer

SYSTEM = "You are a helpful assistant."


@pytest.fixture(scope="module")
def tasks() -> TaskSet:
    return TaskSet.load("embedded")


@pytest.fixture(scope="module")
def fresh_tokenizer(tasks: TaskSet) -> Any:
    """The tokenizer as the script has it in memory, trained on what the script trains it on."""
    groups = collect(tasks, WarmupConfig().seeds_per_dataset)
    return build_tokenizer(f"user\n{t.question}\nassistant\n{t.answer}" for group in groups for t in group)


@pytest.fixture(scope="module")
def shipped() -> tuple[Any, Any]:
    directory = embedded_directory()
    return AutoModelForCausalLM.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)


def learner(model: Any, tokenizer: Any, tasks: TaskSet) -> Learner:
    hyper, device = embedded_hyperparameters(), choose_device("cpu", "float32").for_model(model.num_parameters())
    device.apply_threads()
    policy = Policy(model, tokenizer, device, hyper)
    return Learner(tasks, policy, Trainer(model, hyper, device), Prompts(tokenizer), hyper, seed=0)


def texts(tasks: TaskSet) -> list[str]:
    """What a node encodes: prompts, answers, and text of peers with other tokenizers."""
    asked = [task.question for task in [*tasks.sample("s", "p", 0, 40), *tasks.held_out(20, 0)]]
    return [
        *asked,
        "<answer>-12</answer>",
        "<think>3 + 4</think><answer>3/4</answer>",
        "Héllo, 你好! 🙂\n\n\tx = 1e5",
        " ",
    ]


def test_manifest_names_every_file_and_its_digest() -> None:
    assert damaged_files(embedded_directory()) == []
    assert "model.safetensors" in json.loads((embedded_directory() / MANIFEST).read_text())["sha256"]


def test_damage_is_noticed(tmp_path: Path) -> None:
    for source in embedded_directory().iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    weights = bytearray((tmp_path / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").unlink()
    (tmp_path / "extra.bin").touch()
    assert damaged_files(tmp_path) == ["config.json", "extra.bin", "model.safetensors"]


def test_the_card_that_ships_is_the_one_in_the_source() -> None:
    assert (embedded_directory() / "README.md").read_text() == MODEL_CARD.read_text()


def test_weights_are_small_plain_float32_safetensors(shipped: tuple[Any, Any]) -> None:
    model, _ = shipped
    assert (embedded_directory() / "model.safetensors").stat().st_size <= 4_000_000
    assert {path.suffix for path in embedded_directory().iterdir()} == {".json", ".jinja", ".md", ".safetensors"}
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert 800_000 < model.num_parameters() < 900_000


def test_ids_in_memory_equal_ids_after_reload(fresh_tokenizer: Any, shipped: tuple[Any, Any], tasks: TaskSet) -> None:
    """AutoTokenizer replaces a qwen2 directory's pre-tokenizer by its own; ours must be that one already."""
    _, reloaded = shipped
    before, after = Prompts(fresh_tokenizer), Prompts(reloaded)
    for text in texts(tasks):
        assert before.encode(text) == after.encode(text)
        assert before.encode_completion(text, 200) == after.encode_completion(text, 200)
    assert fresh_tokenizer.get_vocab() == reloaded.get_vocab()
    assert (fresh_tokenizer.eos_token_id, fresh_tokenizer.pad_token_id) == (
        reloaded.eos_token_id,
        reloaded.pad_token_id,
    )


def test_reward_in_memory_equals_reward_after_reload(
    fresh_tokenizer: Any, shipped: tuple[Any, Any], tasks: TaskSet, tmp_path: Path
) -> None:
    """The shipped weights under the tokenizer in memory, saved by the script and loaded again: same completions."""
    model = build_model(fresh_tokenizer)
    model.load_state_dict(shipped[0].state_dict())
    save(model, fresh_tokenizer, tmp_path, WarmupConfig())
    assert damaged_files(tmp_path) == []
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    in_memory = learner(model, fresh_tokenizer, tasks).roll_out("s", "p", 0)
    after = learner(*reloaded, tasks).roll_out("s", "p", 0)
    assert [rollout.rewards for rollout in in_memory] == [rollout.rewards for rollout in after]
    assert [rollout.as_group() for rollout in in_memory] == [rollout.as_group() for rollout in after]
    assert any(any(rollout.rewards) for rollout in after)


def test_it_samples_badly_and_knows_better(shipped: tuple[Any, Any], tasks: TaskSet) -> None:
    """The headroom phase did its work. The exact range of the starting reward is test_learning's, on more questions."""
    frozen = learner(*shipped, tasks)
    sampled = frozen.evaluate_train(96, seed=1)
    greedy = frozen.evaluate_train(96, seed=1, greedy=True)
    assert 0.10 <= sampled <= 0.25
    assert greedy > 2 * sampled


def test_tags_are_single_tokens_and_survive_decoding(shipped: tuple[Any, Any]) -> None:
    _, tokenizer = shipped
    for tag in TAGS:
        ids = tokenizer(tag, add_special_tokens=False)["input_ids"]
        assert len(ids) == 1
        assert tokenizer.decode(ids, skip_special_tokens=True) == tag


def test_digits_are_single_tokens_and_any_text_comes_back(shipped: tuple[Any, Any]) -> None:
    _, tokenizer = shipped
    assert len(tokenizer("1234567", add_special_tokens=False)["input_ids"]) == 7
    for text in ("Héllo, 你好! 🙂", "\x00\x7f", "a\r\n\tb"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_the_template_renders_no_system_turn(shipped: tuple[Any, Any]) -> None:
    _, tokenizer = shipped
    user = {"role": "user", "content": "Calculate 3 * 9."}
    alone = tokenizer.apply_chat_template([user], tokenize=False, add_generation_prompt=True)
    both = [{"role": "system", "content": SYSTEM}, user]
    assert tokenizer.apply_chat_template(both, tokenize=False, add_generation_prompt=True) == alone
    assert alone == "<|im_start|>user\nCalculate 3 * 9.<|im_end|>\n<|im_start|>assistant\n"


def test_every_prompt_and_answer_fits(shipped: tuple[Any, Any], tasks: TaskSet) -> None:
    prompts, limit = Prompts(shipped[1]), embedded_hyperparameters().max_completion_length
    for task in tasks.sample("s", "p", 1, 200):
        assert len(prompts.encode(task.question)) < 64
        answer = f"<answer>{task.answer}</answer>"
        assert len(prompts.encode_completion(answer, limit + 1)) <= limit
        assert score(answer, task) == 1.0


def test_warm_up_never_sees_a_held_out_question(tasks: TaskSet) -> None:
    groups = collect(tasks, seeds=500)
    questions = [task.question for group in groups for task in group]
    assert len(questions) == len(set(questions)) > 500
    assert not any(is_held_out(question) for question in questions)
