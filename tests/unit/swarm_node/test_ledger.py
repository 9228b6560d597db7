"""The ledger: no reward lost and none counted twice, whatever moment the process dies at."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from swarm_core.errors import ConfigError
from swarm_node import ledger as ledger_module
from swarm_node.ledger import Ledger

PEER = "QmOwn"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.json"


def test_a_new_book_is_empty(path: Path) -> None:
    ledger = Ledger(path)
    assert (ledger.pending, ledger.handed_over, ledger.credited_round("c0ffee"), ledger.reported_round) == (
        0.0,
        0,
        -1,
        -1,
    )
    assert ledger.outgoing() == []
    assert not path.exists()


def test_a_round_is_credited_once(path: Path) -> None:
    ledger = Ledger(path)
    assert ledger.credit("c0ffee", 0, 1.5) is True
    assert ledger.credit("c0ffee", 0, 1.5) is False
    assert ledger.credit("c0ffee", 1, 0.75) is True
    assert ledger.credit("c0ffee", 0, 9.0) is False
    assert (ledger.pending, ledger.credited_round("c0ffee")) == (2.25, 1)
    assert Ledger(path).pending == 2.25


def test_a_report_takes_the_whole_part_and_leaves_the_rest(path: Path) -> None:
    ledger = Ledger(path)
    ledger.credit("c0ffee", 0, 2.75)
    report = ledger.report(7, 1, ["QmA"], PEER)
    assert report is not None
    assert report.model_dump() == {"round": 7, "stage": 1, "reward": 2, "winners": ["QmA"], "peer_id": PEER}
    assert (ledger.pending, ledger.outgoing(), ledger.reported_round) == (0.75, [report], 7)
    assert ledger.handed_over == 0
    ledger.accepted(report)
    assert (ledger.pending, ledger.outgoing(), ledger.handed_over) == (0.75, [], 2)


def test_less_than_one_is_a_vote_only(path: Path) -> None:
    ledger = Ledger(path)
    ledger.credit("c0ffee", 0, 0.9)
    report = ledger.report(1, 0, [PEER], PEER)
    assert report is not None
    assert (report.reward, ledger.pending) == (None, 0.9)
    ledger.accepted(report)
    assert ledger.handed_over == 0


def test_a_negative_sum_is_reported_as_such(path: Path) -> None:
    ledger = Ledger(path)
    ledger.credit("c0ffee", 0, -0.5)
    report = ledger.report(1, 0, [], PEER)
    assert report is not None
    assert report.reward == -1
    assert ledger.pending == 0.5


def test_a_chain_round_is_reported_once(path: Path) -> None:
    ledger = Ledger(path)
    ledger.credit("c0ffee", 0, 5.0)
    assert ledger.report(3, 0, [], PEER) is not None
    ledger.credit("c0ffee", 1, 5.0)
    assert ledger.report(3, 0, [], PEER) is None
    assert ledger.report(2, 0, [], PEER) is None
    assert ledger.pending == 5.0
    assert ledger.report(4, 0, [], PEER) is not None


def test_reports_are_kept_in_order(path: Path) -> None:
    ledger = Ledger(path)
    for number in range(4):
        ledger.credit("c0ffee", number, 1.0)
        ledger.report(number, 0, [], PEER)
    assert [report.round for report in Ledger(path).outgoing()] == [0, 1, 2, 3]
    ledger.accepted(ledger.outgoing()[1])
    assert [report.round for report in Ledger(path).outgoing()] == [0, 2, 3]
    assert ledger.handed_over == 1


def test_the_list_given_out_is_a_copy(path: Path) -> None:
    ledger = Ledger(path)
    ledger.credit("c0ffee", 0, 1.0)
    ledger.report(0, 0, [], PEER)
    ledger.outgoing().clear()
    assert len(ledger.outgoing()) == 1


def test_too_many_waiting_reports(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "_MAX_OUTGOING", 2)
    ledger = Ledger(path)
    for number in range(3):
        ledger.credit("c0ffee", number, 1.0)
        ledger.report(number, 0, [], PEER)
    assert (len(ledger.outgoing()), ledger.pending, ledger.reported_round) == (2, 1.0, 1)
    ledger.accepted(ledger.outgoing()[0])
    report = ledger.report(3, 0, [], PEER)
    assert report is not None
    assert report.reward == 1


def test_a_refused_report_gives_its_reward_back(path: Path) -> None:
    ledger = Ledger(path)
    ledger.credit("c0ffee", 0, 3.5)
    report = ledger.report(1, 0, ["QmA"], PEER)
    assert report is not None
    ledger.refused(report)
    assert (ledger.pending, ledger.outgoing(), ledger.handed_over) == (3.5, [], 0)
    vote = ledger.report(2, 0, [], PEER)
    assert vote is not None
    ledger.accepted(vote)
    assert ledger.handed_over == 3


def test_a_refused_vote_costs_nothing(path: Path) -> None:
    ledger = Ledger(path)
    vote = ledger.report(1, 0, ["QmA"], PEER)
    assert vote is not None
    ledger.refused(vote)
    assert (ledger.pending, ledger.outgoing()) == (0.0, [])


def test_another_chain_starts_rounds_over_and_keeps_rewards(path: Path) -> None:
    ledger = Ledger(path)
    ledger.follow("1:0xaa:0xc")
    ledger.credit("c0ffee", 0, 2.5)
    ledger.report(100, 0, [PEER], PEER)
    ledger.credit("c0ffee", 1, 3.0)
    accepted = ledger.report(101, 0, [PEER], PEER)
    assert accepted is not None
    ledger.accepted(accepted)
    ledger.follow("1:0xaa:0xc")
    assert (len(ledger.outgoing()), ledger.reported_round) == (1, 101)
    ledger.follow("1:0xbb:0xc")
    assert (ledger.outgoing(), ledger.pending, ledger.reported_round, ledger.handed_over) == ([], 2.5, -1, 3)
    assert ledger.credited_round("c0ffee") == 1
    assert Ledger(path).report(0, 0, [], PEER) is not None
    again = Ledger(path)
    again.follow("1:0xbb:0xc")
    assert len(again.outgoing()) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pending": "much"}', '{"outgoing": [{"round": 1}]}', "\x00"])
def test_a_damaged_book_is_refused_with_a_remedy_and_left_alone(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(ConfigError, match="damaged") as caught:
        Ledger(path)
    assert str(path) in caught.value.remedy
    assert path.read_text() == content


def test_a_full_disk_loses_no_reward_and_lets_no_report_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path)
    ledger.credit("c0ffee", 0, 2.0)

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ledger_module, "write_json", full)
    assert ledger.credit("c0ffee", 1, 1.0)
    with pytest.raises(OSError, match="No space"):
        ledger.report(1, 0, [], PEER)
    assert (ledger.pending, ledger.credited_round("c0ffee"), ledger.outgoing()) == (3.0, 1, [])
    assert Ledger(path).pending == 2.0
    monkeypatch.undo()
    assert ledger.credit("c0ffee", 2, 1.0)
    assert (Ledger(path).pending, Ledger(path).credited_round("c0ffee")) == (4.0, 2)


def test_another_configuration_counts_its_own_rounds(path: Path) -> None:
    ledger = Ledger(path)
    ledger.credit("c0ffee", 100, 1.0)
    assert ledger.credited_round("decaf0") == -1
    assert ledger.credit("decaf0", 0, 1.0)
    assert (ledger.credited_round("c0ffee"), ledger.credited_round("decaf0"), ledger.pending) == (100, 0, 2.0)


class LoginService:
    """Takes reports by their key; the same key again is the same report."""

    def __init__(self) -> None:
        self.rows: dict[tuple[int, int], int] = {}

    def take(self, round_number: int, stage: int, reward: int | None) -> None:
        known = self.rows.setdefault((round_number, stage), reward or 0)
        assert known == (reward or 0)


def run_rounds(
    path: Path, login: LoginService, rounds: range, earned: list[float], after_write: Callable[[], None]
) -> None:
    """What a worker does to its book, from whatever it finds."""
    ledger = Ledger(path)
    for number in rounds:
        ledger.credit("c0ffee", number, earned[number])
        after_write()
        ledger.report(1000 + number, 0, [PEER], PEER)
        after_write()
        for report in ledger.outgoing():
            login.take(report.round, report.stage, report.reward)
            ledger.accepted(report)
            after_write()


def test_a_crash_after_any_write_loses_and_doubles_nothing(path: Path) -> None:
    rng = random.Random(3)
    earned = [round(rng.uniform(0, 3), 3) for _ in range(6)]
    copies: list[Path] = []

    def copy() -> None:
        copies.append(path.with_name(f"copy{len(copies)}.json"))
        shutil.copy(path, copies[-1])

    run_rounds(path, LoginService(), range(6), earned, copy)
    assert len(copies) == 18

    for survivor in copies:
        shutil.copy(survivor, path)
        before = Ledger(path)
        login = LoginService()
        # what it had taken by then; the process may have died before it could note the last one
        done = json.loads(path.read_text())["handed_over"]
        login.rows[-1, 0] = done
        first = before.credited_round("c0ffee")  # the round is redone: its checkpoint was not written
        run_rounds(path, login, range(first, 6), earned, lambda: None)
        after = Ledger(path)
        assert sum(login.rows.values()) == after.handed_over
        assert after.handed_over + after.pending == pytest.approx(sum(earned))
        assert after.outgoing() == []


def test_a_crash_between_taking_and_noting_is_the_same_report_again(path: Path) -> None:
    login, ledger = LoginService(), Ledger(path)
    ledger.credit("c0ffee", 0, 2.5)
    report = ledger.report(1, 0, [PEER], PEER)
    assert report is not None
    login.take(report.round, report.stage, report.reward)
    again = Ledger(path)  # the process died here
    assert again.outgoing() == [report]
    run_rounds(path, login, range(0), [], lambda: None)
    for waiting in again.outgoing():
        login.take(waiting.round, waiting.stage, waiting.reward)
        again.accepted(waiting)
    assert sum(login.rows.values()) == again.handed_over == 2


def test_an_identity_is_kept_in_memory_while_the_disk_refuses(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path)
    ledger.identify("QmA")

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(ledger_module, "write_json", full)
    ledger.identify("QmA")  # a restart on a full disk still trains
    ledger.identify("QmB")
    assert (ledger.peer_id, Ledger(path).peer_id) == ("QmB", "QmA")
