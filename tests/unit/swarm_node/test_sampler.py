"""SAPO's choice of external groups: what is dropped and why, a uniform draw, one winner that all nodes agree on."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import pytest

from swarm_core.records import RolloutGroup
from swarm_node.exchange import ExternalGroup
from swarm_node.sampler import ScoredGroup, SeenGroups, draw, verify, winner
from swarm_node.tasks import Task

OWN, PEER, OTHER = "QmOwn", "QmPeer", "QmZ"


def group(seed: int = 0, completions: tuple[str, ...] = ("1", "0"), **changes: object) -> RolloutGroup:
    fields = {"task": "t", "seed": seed, "question": f"q{seed}", "answer": "1", "completions": completions}
    return RolloutGroup(**(fields | {"rewards": (0.5,) * len(completions)} | changes))  # type: ignore[arg-type]


def external(seed: int = 0, peer: str = PEER, **changes: object) -> ExternalGroup:
    return ExternalGroup(peer, 1.0, group(seed, **changes))  # type: ignore[arg-type]


class Book:
    """Our own copy of the questions, and a scorer that keeps what it saw."""

    def __init__(self) -> None:
        self.made: list[tuple[str, int]] = []
        self.blamed: list[tuple[str, str]] = []
        self.scored: list[tuple[Task, tuple[str, ...]]] = []

    def recompute(self, name: str, seed: int) -> Task | None:
        self.made.append((name, seed))
        return Task(name, seed, f"q{seed}", "1", {"own": seed}) if name == "t" else None

    def score(self, task: Task, completions: Sequence[str]) -> list[float]:
        self.scored.append((task, tuple(completions)))
        return [float(text) for text in completions]


@pytest.fixture
def book() -> Book:
    return Book()


def check(
    book: Book, groups: Sequence[ExternalGroup], seen: SeenGroups | None = None
) -> tuple[list[ScoredGroup], dict[str, int]]:
    def blame(peer: str, reason: str) -> None:
        book.blamed.append((peer, reason))

    return verify(groups, OWN, seen or SeenGroups(), book, book.score, lambda peer, group: group.seed == 11, blame)


def test_a_good_group_is_kept_with_our_task_and_our_rewards(book: Book) -> None:
    kept, dropped = check(book, [external(3, completions=("1", "0", "0.5"))])
    (scored,) = kept
    assert (scored.peer_id, scored.sha256) == (PEER, group(3, ("1", "0", "0.5")).digest())
    assert scored.task.entry == {"own": 3}
    assert scored.completions == ("1", "0", "0.5")
    assert scored.rewards == (1.0, 0.0, 0.5)  # the sender claimed 0.5 each
    assert scored.mean_reward == 0.5
    assert dropped == {}
    assert book.made == [("t", 3)]
    assert book.blamed == []


def test_mean_reward() -> None:
    task = Task("t", 0, "q0", "1", {})
    assert ScoredGroup(PEER, "", task, ("a", "b", "c", "d"), (1.0, 0.0, 0.0, 1.0)).mean_reward == 0.5
    assert ScoredGroup(PEER, "", task, ("a", "b"), (1.0, 0.5)).mean_reward == 0.75


def test_what_is_dropped_and_why(book: Book) -> None:
    seen = SeenGroups()
    seen.add([group(9).digest()])
    kept, dropped = check(
        book,
        [
            external(1, OWN),
            external(2, OWN),
            external(9),  # trained on before
            external(4, question="another"),
            external(5, answer="2"),
            external(6, answer="3"),
            external(7, completions=("1", "1")),
            external(8),
            external(8, OTHER),  # the same group from another peer
            external(10, task="other"),
            external(11, OTHER),
        ],
        seen,
    )
    assert [scored.task.seed for scored in kept] == [8]
    assert kept[0].peer_id == PEER
    expected = {"own": 2, "duplicate": 2, "wrong_task": 3, "zero_advantage": 1, "unknown_task": 1, "copied": 1}
    assert dropped == expected
    assert Counter(reason for _, reason in book.blamed) == expected
    assert (OTHER, "copied") in book.blamed


def test_a_reason_instead_of_rewards_drops_the_group(book: Book) -> None:
    kept, dropped = verify(
        [external(1)], OWN, SeenGroups(), book, lambda task, texts: "too_hard", lambda peer, group: False,
        lambda peer, reason: book.blamed.append((peer, reason)),
    )  # fmt: skip
    assert (kept, dropped, book.blamed) == ([], {"too_hard": 1}, [(PEER, "too_hard")])


def test_only_our_own_task_reaches_the_scorer(book: Book) -> None:
    check(book, [external(1, OWN), external(4, question="another"), external(5)])
    assert [(task.seed, texts) for task, texts in book.scored] == [(5, ("1", "0"))]


def test_a_group_without_signal_is_scored_once_in_a_batch(book: Book) -> None:
    kept, dropped = check(book, [external(7, completions=("0", "0")), external(7, OTHER, completions=("0", "0"))])
    assert (kept, dropped, len(book.scored)) == ([], {"zero_advantage": 1, "duplicate": 1}, 1)


def test_the_senders_rewards_count_for_nothing(book: Book) -> None:
    kept, _ = check(book, [external(1, completions=("0", "0"), rewards=(1.0, 0.0))])
    assert kept == []
    kept, _ = check(book, [external(1, completions=("1", "0"), rewards=(0.0, 0.0))])
    assert len(kept) == 1


def test_nothing_in_nothing_out(book: Book) -> None:
    assert check(book, []) == ([], {})


def test_order_of_arrival_is_kept(book: Book) -> None:
    kept, _ = check(book, [external(seed) for seed in (5, 3, 8)])
    assert [scored.task.seed for scored in kept] == [5, 3, 8]


def test_seen_forgets_the_oldest_first() -> None:
    seen = SeenGroups(limit=3)
    seen.add(["a", "b"])
    seen.add(["c"])
    assert [digest in seen for digest in "abc"] == [True, True, True]
    seen.add(["d", "e"])
    assert [digest in seen for digest in "abcde"] == [False, False, True, True, True]


def test_seen_is_bounded_and_far_larger_than_a_round() -> None:
    seen = SeenGroups()
    seen.add([str(number) for number in range(5000)])
    assert [str(number) in seen for number in (903, 904, 4999)] == [False, True, True]  # 4096 remembered
    assert "never" not in seen


def scored(count: int) -> list[ScoredGroup]:
    task = Task("t", 0, "q0", "1", {})
    return [ScoredGroup(PEER, str(number), task, ("1", "0"), (1.0, 0.0)) for number in range(count)]


@pytest.mark.parametrize(("there", "count", "drawn"), [(5, 3, 3), (5, 5, 5), (2, 4, 2), (0, 4, 0), (5, 0, 0)])
def test_number_drawn(there: int, count: int, drawn: int) -> None:
    result = draw(scored(there), count, random.Random(1))
    assert len(result) == drawn == len({entry.sha256 for entry in result})


def test_the_draw_is_determined_by_its_generator() -> None:
    pool = scored(20)
    assert draw(pool, 4, random.Random(7)) == draw(pool, 4, random.Random(7))
    assert draw(pool, 4, random.Random(7)) != draw(pool, 4, random.Random(8))
    assert pool == scored(20)


def test_the_draw_is_uniform() -> None:
    # 2 of 6, 6000 times: each 2000 times, standard deviation 36.5
    rng, counts = random.Random(0), Counter[str]()
    for _ in range(6000):
        counts.update(entry.sha256 for entry in draw(scored(6), 2, rng))
    assert all(abs(counts[str(number)] - 2000) < 5 * 36.5 for number in range(6))


def used(peer: str, *rewards: float) -> ScoredGroup:
    return ScoredGroup(peer, "", Task("t", 0, "q", "1", {}), ("x",) * len(rewards), rewards)


@pytest.mark.parametrize(
    ("groups", "eligible", "own", "expected"),
    [
        ([], {PEER}, 0.0, OWN),
        ([used(PEER, 1.0, 0.0)], {PEER}, 0.4, PEER),
        ([used(PEER, 1.0, 0.0)], {PEER}, 0.6, OWN),
        ([used(PEER, 1.0, 0.0)], {PEER}, 0.5, PEER),  # a tie goes to the other
        ([used(PEER, 1.0, 0.0)], set(), 0.4, OWN),  # a vote for a stranger would be refused
        ([used(PEER, 1.0, 0.0)], {OTHER}, 0.4, OWN),
        ([used(PEER, 1.0, 0.0), used(OTHER, 1.0, 0.8)], {PEER, OTHER}, 0.4, OTHER),
        ([used(PEER, 1.0, 0.0), used(OTHER, 1.0, 0.8)], {PEER}, 0.4, PEER),
        ([used(OTHER, 1.0, 0.0), used(PEER, 0.0, 1.0)], {PEER, OTHER}, 0.4, PEER),  # the smaller id
        ([used(PEER, 1.0, 1.0), used(PEER, 0.0, 0.0), used(OTHER, 0.6, 0.6)], {PEER, OTHER}, 0.1, OTHER),  # means
        ([used(PEER, -1.0, -1.0)], {PEER}, -0.5, OWN),
        ([used(PEER, 0.0, 0.0)], {PEER}, 0.0, PEER),
    ],
)
def test_winner(groups: list[ScoredGroup], eligible: set[str], own: float, expected: str) -> None:
    assert winner(OWN, own, groups, eligible) == expected
