"""Groups as genrl shares them: ours name their seed, upstream's is found from dataset and index, junk is refused."""

from __future__ import annotations

from typing import Any

import pytest

from swarm_core.errors import RecordError
from swarm_core.genrl import Payload, WorldState, decode, encode
from swarm_core.genrl_records import SEED_KEY, TASK_KEY, Question, decode_groups, encode_questions, question_id

METADATA = {"source_dataset": "gcd", "source_index": 0, "difficulty": {"numbers": (2, 2)}, "odd": {1}}


def question(text: str = "1+1?", completions: int = 2, **metadata: Any) -> Question:
    return Question(
        text, "2", {**METADATA, **metadata}, "gcd@2", 7, [f"<answer>{n}</answer>" for n in range(completions)]
    )


def test_ours_round_trip_with_their_seed() -> None:
    (group,), rest = decode_groups(encode_questions([question()]) + b"trailer")
    assert (group.task, group.seed, group.question, group.answer) == ("gcd@2", 7, "1+1?", "2")
    assert group.completions == ("<answer>0</answer>", "<answer>1</answer>")
    assert rest == b"trailer"


def test_metadata_of_any_type_is_written_in_types_of_genrl() -> None:
    value, _ = decode(encode_questions([question()]))
    metadata = value[question_id("1+1?")][0].world_state.environment["metadata"]
    assert metadata == {**METADATA, "difficulty": {"numbers": [2, 2]}, "odd": [1], TASK_KEY: "gcd@2", SEED_KEY: 7}


def test_what_does_not_fit_is_left_out() -> None:
    data = encode_questions([question(f"{number} " * 2000, 8) for number in range(64)])
    groups, _ = decode_groups(data)
    assert 10 < len(groups) < 64
    assert len(data) <= 256 * 1024


def record(
    task: str = "bf", index: Any = 3, completions: Any = ("a", "b"), key: int | None = None, **env: Any
) -> bytes:
    state = {"question": "q", "answer": "a", "metadata": {"source_dataset": task, "source_index": index}, **env}
    actions = list(completions) if isinstance(completions, tuple) else completions
    return encode({key if key is not None else question_id("q"): [Payload(WorldState(state), actions)]})


def test_the_seed_of_an_upstream_question_follows_from_dataset_and_index() -> None:
    (group,), _ = decode_groups(record())
    assert (group.task, group.seed) == ("bf", 42 + 1 + 3 + 3)
    assert decode_groups(record(task="unknown"))[0][0].seed == 0
    assert decode_groups(record(index=-1))[0][0].seed == 0
    assert decode_groups(record(index="3"))[0][0].seed == 0


def test_other_group_sizes_are_accepted_and_impossible_ones_left_out() -> None:
    assert len(decode_groups(record(completions=tuple("abcdefgh")))[0][0].completions) == 8
    assert decode_groups(record(completions=("only",)))[0] == ()
    assert decode_groups(record(completions=("x",) * 65))[0] == ()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode(None), "wrong_type"),
        (encode([]), "wrong_type"),
        (encode({1: []}), "wrong_type"),
        (encode({1: [Payload(None, [])]}), "wrong_type"),  # upstream's readers end at this one
        (encode({1: [Payload(WorldState(None), [])]}), "wrong_type"),
        (record(key=5), "wrong_question_id"),
        (record(question=None), "wrong_type"),
        (record(answer=5), "wrong_type"),
        (record(metadata=None), "wrong_type"),
        (record(metadata={}), "wrong_type"),
        (record(completions=("a", 5)), "wrong_type"),
        (record(completions=None), "wrong_type"),
        (record(completions=("a", "x" * 17_000)), "too_large"),
        (encode({number: [] for number in range(65)}), "wrong_type"),
    ],
)
def test_junk_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode_groups(data)
    assert caught.value.reason == reason
