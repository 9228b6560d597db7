"""Choices of the page: the environment is stronger, what is needed to follow is told, and nothing stops the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.choices import HUB_PUSH_STEPS, NodeChoices
from swarm_core.runner import Service
from swarm_core.status import NodeStatus
from swarm_node.board import Board
from swarm_node.choices import Choices
from swarm_node.settings import NodeSettings


def board() -> Board:
    status = NodeStatus(
        version="0", instance="x", node="main", model="embedded", device="cpu", dtype="", started_at=0.0,
        phase="waiting", phase_since=0.0, state="training",
    )  # fmt: skip
    return Board(status, None)


@pytest.fixture
def settings(tmp_path: Path) -> NodeSettings:
    return NodeSettings(state_dir=tmp_path, api_token_file=tmp_path / "token", login_url="http://127.0.0.1:9")


def told(settings: NodeSettings, choices: NodeChoices) -> Choices:
    made = Choices(settings)
    made.current = made.started_with = choices
    return made


def test_choices_fill_what_the_environment_leaves_open(settings: NodeSettings, tmp_path: Path) -> None:
    choices = NodeChoices(model="ada/tiny", hub_push=True, market=True)
    applied = told(settings, choices).applied()
    assert (applied.model, applied.hub_push_steps) == ("ada/tiny", HUB_PUSH_STEPS)
    assert applied.hub_token_file == tmp_path / "hub-token"
    fixed = NodeSettings(state_dir=tmp_path, model="embedded", hub_push_steps=3, play_market=0)
    made = told(fixed, choices)
    assert (made.applied().model, made.applied().hub_push_steps, made.plays_market) == ("embedded", 3, False)
    made.current = NodeChoices(model="auto")
    assert not made.restart_needed, "the environment decides anyway"


def test_the_market_follows_the_page_at_once(settings: NodeSettings) -> None:
    made = told(settings, NodeChoices())
    assert not made.plays_market
    made.current = NodeChoices(market=True)
    assert made.plays_market
    assert not made.restart_needed


async def test_a_change_asks_for_a_new_start_and_a_silent_login_service_for_nothing(settings: NodeSettings) -> None:
    made, service, shown = told(settings, NodeChoices()), Service("test"), board()
    assert not await made.follow(service, shown), "nobody answers: what was known holds"
    made.current = NodeChoices(revision=4, model="ada/tiny")
    assert await made.follow(service, shown)
    assert (service.again, service.stop.is_set(), shown.status.choices_revision) == (True, True, 0), "not yet followed"
    await made.close()


def test_what_was_told_last_is_remembered_and_damage_forgotten(settings: NodeSettings, tmp_path: Path) -> None:
    made = told(settings, NodeChoices(revision=2, model="auto"))
    made._write()
    assert Choices(settings).current == NodeChoices(revision=2, model="auto")
    (tmp_path / "choices.json").write_text("{")
    assert Choices(settings).current == NodeChoices()
