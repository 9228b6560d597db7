"""Groups of strangers: only the sender's own questions, no copies; the daemon hears who was right and who was not."""

from __future__ import annotations

from pathlib import Path

from tests.support.stub_daemon import StubDaemon

from swarm_core.records import RolloutGroup
from swarm_node.exchange import Exchange, ExternalGroup
from swarm_node.sampler import SeenGroups
from swarm_node.screening import CopyFinder, Screening
from swarm_node.tasks import Task, TaskSet, owns

TASKS = TaskSet.load("embedded")
SWARM, OWN, A, B = "53855", "QmOwn", "QmA", "QmB"


def tasks_of(peer: str, number: int = 1, k: int = 4) -> list[Task]:
    return TASKS.sample(SWARM, peer, number, k)


def group(task: Task, *texts: str, answer: str | None = None) -> RolloutGroup:
    completions = texts or (f"<answer>{task.answer}</answer>", "no")
    key = task.answer if answer is None else answer
    return RolloutGroup(task.name, task.seed, task.question, key, completions, (0.0,) * len(completions))


def external(peer: str, sent: RolloutGroup, number: int = 1, age: float = 1.0, source: str = "direct") -> ExternalGroup:
    return ExternalGroup(peer, age, sent, number, source)


def test_every_question_of_a_round_belongs_to_its_peer_whatever_k() -> None:
    for k in (1, 8, 64):
        assert all(owns(SWARM, A, 7, task.seed) for task in tasks_of(A, 7, k))
    theirs = [task.seed for task in tasks_of(A, 7, 64)]
    assert not any(owns(SWARM, B, 7, seed) for seed in theirs)
    assert not any(owns(SWARM, A, 8, seed) for seed in theirs)
    assert not any(owns("1", A, 7, seed) for seed in theirs)


def test_the_questions_of_a_smaller_round_begin_alike() -> None:
    assert [owns(SWARM, A, 3, task.seed) for task in TaskSet.load("rgym").sample(SWARM, A, 3, 4)] == [True] * 4


async def test_good_groups_are_kept_and_praised(tmp_path: Path) -> None:
    with StubDaemon(tmp_path / "dht.sock") as daemon:
        exchange = Exchange(daemon.path)
        screening = Screening(TASKS, exchange, swarm=SWARM)
        groups = [external(A, group(task)) for task in tasks_of(A)] + [external(B, group(tasks_of(B)[0]))]
        kept, dropped = await screening.verify(groups, OWN, SeenGroups())
        await exchange.close()
    assert len(kept) == 5
    assert dropped == {}
    assert {(row["peer"], row["reason"], row["count"]) for row in daemon.verdicts} == {(A, "good", 4), (B, "good", 1)}


async def test_what_is_wrong_is_dropped_and_told(tmp_path: Path) -> None:
    a, b = tasks_of(A), tasks_of(B)
    with StubDaemon(tmp_path / "dht.sock") as daemon:
        exchange = Exchange(daemon.path)
        screening = Screening(TASKS, exchange, swarm=SWARM)
        groups = [
            external(A, group(a[0], "<answer>999</answer>", "no", answer="999")),  # poisoned key
            external(B, group(a[1])),  # a copy under another name
            external(B, group(b[0]), number=2),  # replayed from another round
            external(A, group(a[2], "no", "nothing")),  # teaches nothing: nobody's fault
        ]
        kept, dropped = await screening.verify(groups, OWN, SeenGroups())
        await exchange.close()
    assert kept == []
    assert dropped == {"wrong_task": 1, "not_own": 2, "zero_advantage": 1}
    assert {(row["peer"], row["reason"], row["count"]) for row in daemon.verdicts} == {
        (A, "wrong_task", 1),
        (B, "not_own", 2),
    }


async def test_copies_of_what_has_no_owner_are_found_too() -> None:
    screening, task = Screening(TASKS, swarm=SWARM), tasks_of(A)[0]
    original = [
        external(A, group(task, "<answer>1</answer>", f"<answer>{task.answer}</answer>"), age=9, source="genrl")
    ]
    copy = [external(B, group(task, f"<answer>{task.answer}</answer>", "new"), age=1, source="genrl")]
    kept, dropped = await screening.verify(copy + original, OWN, SeenGroups())
    assert [found.peer_id for found in kept] == [A]
    assert dropped == {"copied": 1}


async def test_a_copy_of_our_own_group_is_known() -> None:
    screening, task = Screening(TASKS), tasks_of(OWN)[0]
    screening.note_own(OWN, [group(task)])
    assert (await screening.verify([external(B, group(task))], OWN, SeenGroups()))[1] == {"copied": 1}


def test_the_same_question_answered_otherwise_is_no_copy() -> None:
    copies, task = CopyFinder(limit=2), tasks_of(A)[0]
    assert not copies.is_copy(A, group(task, "1", "2"))
    assert not copies.is_copy(A, group(task, "1", "2"))
    assert not copies.is_copy(B, group(task, "3", "4"))
    assert copies.is_copy(B, group(task, "2", "1", "5", "1"))
    for other in tasks_of(B)[:2]:
        copies.is_copy(B, group(other))
    assert not copies.is_copy(B, group(task, "1", "2")), "the oldest is forgotten"
