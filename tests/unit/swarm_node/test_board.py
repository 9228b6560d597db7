"""The status board: phases and their time, counters, history, and what the socket's routes answer."""

from __future__ import annotations

import httpx
import pytest
from tests.support.statuses import node_status

from swarm_core.status import NodeStatus, RoundRecord, UsedGroup
from swarm_node import board as board_module
from swarm_node.board import Board


@pytest.fixture
def board() -> Board:
    return Board(node_status(rounds={}, external_used=0, external_rejected={}, last_error="old", state="training"))


def record(number: int, result: str = "ok", **fields: object) -> RoundRecord:
    known = {"training_round": number, "finished_at": 100.0 + number, "result": result, "own_reward": 0.5}
    return RoundRecord.model_validate(known | fields)


def test_phase_is_shown_and_measured(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([10.0, 12.5, 20.0, 20.5, 30.0, 31.0])
    monkeypatch.setattr(board_module.time, "monotonic", lambda: next(moments))
    with board.phase("train"):
        assert board.status.phase == "train"
    with board.phase("train"):
        pass
    with pytest.raises(RuntimeError), board.phase("score"):
        raise RuntimeError
    assert board.take_seconds() == {"train": 3.0, "score": 1.0}
    assert board.take_seconds() == {}


def test_good_rounds_are_counted_and_shown(board: Board) -> None:
    used = [UsedGroup(peer="QmA", sha256="aa"), UsedGroup(peer="QmB", sha256="bb")]
    board.finish(record(0, external=used, external_rejected={"stale": 1}, optimizer_step=1, held_out_reward=0.25))
    board.finish(record(1, external=used[:1], external_rejected={"stale": 2, "own": 1}, optimizer_step=2))
    status = board.status
    assert (status.rounds, status.external_used, status.external_rejected) == ({"ok": 2}, 3, {"stale": 3, "own": 1})
    assert (status.last_progress, status.optimizer_step, status.reward_own, status.last_error) == (101.0, 2, 0.5, "")
    assert status.reward_held_out == 0.25  # the last that was measured


def test_a_failed_round_is_counted_and_is_no_progress(board: Board) -> None:
    before = board.status.last_progress
    board.finish(record(0, "OSError"))
    status = board.status
    assert (status.rounds, status.last_progress, status.last_error) == ({"OSError": 1}, before, "old")


def test_history_is_bounded_and_newest_last(board: Board) -> None:
    for number in range(510):
        board.finish(record(number))
    assert [entry.training_round for entry in board.history(3)] == [507, 508, 509]
    assert board.history(500)[0].training_round == 10
    assert len(board.history(10_000)) == 500


def test_a_change_of_state_is_said_once(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(board_module.log, "warning", lambda event, **fields: said.append(("warning", fields["state"])))
    monkeypatch.setattr(board_module.log, "info", lambda event, **fields: said.append(("info", fields["state"])))
    for _ in range(3):
        board.state("isolated", "nobody there")
    board.state("training", "somebody there")
    assert board.status.state == "training"
    assert said == [("warning", "isolated"), ("info", "training")]


async def test_routes(board: Board) -> None:
    board.finish(record(0))
    board.finish(record(1))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(board.app()), base_url="http://node") as client:
        assert (await client.get("/v1/live")).json() == {"state": "training"}
        status = NodeStatus.model_validate((await client.get("/v1/status")).json())
        assert status.rounds == {"ok": 2}
        assert 10**6 < status.memory_rss < 10**11
        history = (await client.get("/v1/history?limit=1")).json()
        assert [entry["training_round"] for entry in history] == [1]
        for limit in ("0", "501", "x"):
            assert (await client.get(f"/v1/history?limit={limit}")).status_code == 422
        metrics = await client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert "rlswarm_worker_training_round 41.0" in metrics.text
        assert "chain_reachable" not in metrics.text  # no truth value dressed as a number
