"""Rollout groups as genrl 0.1.11 shares them: `{question id: [Payload]}`, one payload for each question.

A genuine peer names its question by dataset and index only. Upstream's public swarm draws from one composite of nine
datasets with a fixed seed, so dataset and index give the seed of the question, and a receiver makes it again. Ours
name the seed in the metadata, which upstream's peers carry along unread. What was claimed is checked by the worker.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swarm_core.errors import RecordError
from swarm_core.genrl import Payload, WorldState, decode, encode
from swarm_core.records import MAX_COMPLETIONS, MAX_GROUPS, MIN_COMPLETIONS, RolloutGroup

TASK_KEY, SEED_KEY = "rlx_task", "rlx_seed"
# upstream's rgym swarm: the order matters, each dataset of the composite has the seed after that of the one before
UPSTREAM_SEED = 42
UPSTREAM_DATASETS = (
    "arc_1d", "basic_arithmetic", "base_conversion", "bf", "binary_matrix", "calendar_arithmetic",
    "decimal_arithmetic", "fraction_simplification", "propositional_logic",
)  # fmt: skip
_MAX_INDEX = 2**31
_MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Question:
    """A question with its completions, to be shared; `metadata` is reasoning-gym's own, (`task`, `seed`) our name."""

    text: str
    answer: str
    metadata: Mapping[str, Any]
    task: str
    seed: int
    completions: Sequence[str]


def question_id(text: str) -> int:
    """genrl's id of a question: the MD5 of its text as a number."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16)


def encode_questions(questions: Sequence[Question]) -> bytes:
    """As many of `questions`, in their order, as fit into one record. Raises RecordError for what cannot be encoded."""
    shared: dict[int, list[Payload]] = {}
    best = encode(shared)
    for question in questions:
        metadata = {**question.metadata, TASK_KEY: question.task, SEED_KEY: question.seed}
        state = WorldState({"question": question.text, "answer": question.answer, "metadata": _plain(metadata)})
        shared[question_id(question.text)] = [Payload(state, list(question.completions))]
        data = encode(shared)
        if len(shared) > MAX_GROUPS or not _is_readable(data):
            break
        best = data
    return best


def decode_groups(data: bytes) -> tuple[tuple[RolloutGroup, ...], bytes]:
    """(groups, rest) of a record, whoever made it; their rewards are unknown, hence zero. Raises RecordError.

    A question with fewer or more completions than a group may have is left out; anything malformed refuses the record.
    """
    value, rest = decode(data)
    if not isinstance(value, dict) or len(value) > MAX_GROUPS:
        raise RecordError("wrong_type", "record")
    groups = [_group(key, records) for key, records in value.items()]
    return tuple(group for group in groups if group is not None), rest


def _is_readable(data: bytes) -> bool:
    """Whether a reader with our bounds takes it."""
    try:
        decode(data)
    except RecordError:
        return False
    return True


def _group(key: Any, records: Any) -> RolloutGroup | None:
    if not isinstance(records, list) or len(records) != 1 or not isinstance(records[0], Payload):
        raise RecordError("wrong_type", "payload")
    state, actions = records[0].world_state, records[0].actions
    if not isinstance(state, WorldState) or not isinstance(state.environment, dict) or not isinstance(actions, list):
        raise RecordError("wrong_type", "world state")
    question, answer = state.environment.get("question"), state.environment.get("answer")
    metadata = state.environment.get("metadata")
    if not isinstance(question, str) or not isinstance(answer, str | None) or not isinstance(metadata, dict):
        raise RecordError("wrong_type", "question")
    if key != question_id(question):
        raise RecordError("wrong_question_id")
    if not all(isinstance(action, str) for action in actions):
        raise RecordError("wrong_type", "completion")
    if not MIN_COMPLETIONS <= len(actions) <= MAX_COMPLETIONS:
        return None
    task = metadata.get(TASK_KEY, metadata.get("source_dataset"))
    if not isinstance(task, str):
        raise RecordError("wrong_type", "source_dataset")
    group = RolloutGroup(task, _seed(task, metadata), question, answer or "", tuple(actions), (0.0,) * len(actions))
    group.encode()  # the bounds of our own records hold for these too
    return group


def _seed(task: str, metadata: dict[Any, Any]) -> int:
    """The seed that makes the question, as far as the record tells it."""
    seed, index = metadata.get(SEED_KEY), metadata.get("source_index")
    if type(seed) is int and 0 <= seed <= _MAX_SEED:
        return seed
    if type(index) is not int or not 0 <= index < _MAX_INDEX or task not in UPSTREAM_DATASETS:
        return 0
    return UPSTREAM_SEED + 1 + UPSTREAM_DATASETS.index(task) + index


def _plain(value: Any) -> Any:
    """`value` in types that genrl knows: tuples become lists, anything else its text."""
    if value is None or type(value) in (bool, int, float, str):
        return value if type(value) is not float or math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {_plain(key) if type(key) in (str, int) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)
