"""History survives a restart, passes over a torn line, stays bounded on disk; a refusing disk costs nothing else."""

from __future__ import annotations

from pathlib import Path

from swarm_core.status import RoundRecord
from swarm_node.history import KEPT, History


def record(number: int) -> RoundRecord:
    return RoundRecord(training_round=number, finished_at=float(number), result="ok", published=["ab"])


def test_it_is_read_again(tmp_path: Path) -> None:
    history = History(tmp_path / "history.jsonl")
    for number in range(3):
        history.add(record(number))
    again = History(tmp_path / "history.jsonl")
    assert again.newest(2) == [record(1), record(2)]


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    History(path).add(record(1))
    with path.open("a") as file:
        file.write('{"training_round": 2, "fin')
    history = History(path)
    assert history.newest(10) == [record(1)]


def test_the_file_stays_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    longest = 0
    for number in range(5 * KEPT):
        history.add(record(number))
        if number % 100 == 0:
            longest = max(longest, len(path.read_text().splitlines()))
    assert longest <= 4 * KEPT
    assert [kept.training_round for kept in History(path).newest(KEPT)] == list(range(4 * KEPT, 5 * KEPT))


def test_a_directory_that_is_gone_costs_only_the_file(tmp_path: Path) -> None:
    history = History(tmp_path / "gone" / "history.jsonl")
    history.add(record(1))
    assert history.newest(1) == [record(1)]


def test_memory_only() -> None:
    history = History(None)
    history.add(record(1))
    assert history.newest(5) == [record(1)]
