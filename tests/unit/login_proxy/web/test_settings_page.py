"""The settings page: three questions, greyed out where a model cannot run, the environment wins and it is said."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from tests.support.statuses import node_status
from tests.unit.login_proxy.web.test_page import browser_of, claim_form

from login_proxy.choices import BadToken
from login_proxy.node import LoginNode
from login_proxy.texts import settings as texts
from login_proxy.web.settings_page import model_rows
from login_proxy.web.worker_api import make_worker_api
from swarm_core.choices import NodeChoices
from swarm_core.model_catalogue import HUB_MODELS

NO = {"model": "", "own_model": "", "hub": "no", "hub_token": "", "market": "no"}


@asynccontextmanager
async def owner(node: LoginNode) -> AsyncIterator[httpx.AsyncClient]:
    async with browser_of(node) as browser:
        await browser.post("/claim", data=claim_form(node))
        yield browser


async def test_answers_are_stored_and_handed_to_the_worker(make_node: Callable[..., LoginNode]) -> None:
    node = make_node()
    async with owner(node) as browser:
        page = await browser.post("/settings", data=NO | {"model": "Qwen/Qwen3-0.6B", "market": "yes"})
        assert (page.status_code, texts.SAVED in page.text) == (200, True)
        assert re.search(r'value="Qwen/Qwen3-0.6B" checked', page.text)
    told = httpx.ASGITransport(make_worker_api(node, "t" * 43))
    async with httpx.AsyncClient(transport=told, base_url="http://login:3001") as worker:
        answer = await worker.get("/api/node-settings", headers={"authorization": "Bearer " + "t" * 43})
    choices = NodeChoices.model_validate(answer.json())
    assert (choices.model, choices.market, choices.hub_push, choices.revision) == ("Qwen/Qwen3-0.6B", True, False, 1)
    assert "settings_changed" in [entry.event for entry in node.audit.newest(9)]


async def test_an_own_model_is_a_name_or_a_path(make_node: Callable[..., LoginNode]) -> None:
    node = make_node()
    async with owner(node) as browser:
        for text, good in (("ada/tiny", True), ("/models/mine", True), ("not a name", False), ("", True)):
            answer = await browser.post("/settings", data=NO | {"model": "own", "own_model": text})
            assert (answer.status_code == 200) is good, text
        assert (await browser.post("/settings", data=NO | {"model": "ada/tiny"})).status_code == 400, "not on the list"


async def test_a_hub_token_is_checked_and_never_shown(
    make_node: Callable[..., LoginNode], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    node = make_node(api_token_file=tmp_path / "token")

    async def check(token: str) -> str:
        if token != "hf_writes_well":
            raise BadToken("this token may only read")
        return "ada"

    monkeypatch.setattr(node.choices, "check_token", check)
    async with owner(node) as browser:
        for token, sentence in (("", texts.TOKEN_MISSING), ("hf_only_reads", "may only read")):
            refused = await browser.post("/settings", data=NO | {"hub": "yes", "hub_token": token})
            assert (refused.status_code, sentence in refused.text) == (400, True)
        assert node.choices.current == NodeChoices()
        assert (await browser.post("/settings", data=NO | {"hub": "yes", "hub_token": "hf_writes_well"})).is_success
        assert (node.choices.current.hub_push, node.choices.current.hub_token) == (True, 1)
        page = await browser.post("/settings", data=NO | {"hub": "yes"})
        assert "hf_writes_well" not in page.text
        assert "hf_writes_well" not in str(node.audit.newest(50))
        assert (await browser.post("/settings", data=NO)).is_success
        assert not node.choices.token_file.exists()


async def test_the_environment_wins_and_the_page_says_so(make_node: Callable[..., LoginNode]) -> None:
    node = make_node(model="ada/tiny", hub_push_steps=7, play_market=1)
    async with owner(node) as browser:
        page = (await browser.get("/settings")).text
        for variable in ("SWARM_MODEL", "SWARM_HUB_PUSH_STEPS", "SWARM_PLAY_MARKET"):
            assert texts.BY_ENVIRONMENT.format(variable=variable) in page
        assert page.count("<fieldset disabled") == 3
        await browser.post("/settings", data=NO | {"model": "auto", "hub": "yes", "market": "yes"})
    assert (node.choices.current.model, node.choices.current.hub_push, node.choices.current.market) == ("", False, None)


def test_models_that_cannot_run_are_greyed_out() -> None:
    small = model_rows(node_status(memory_limit=4_000_000_000))
    assert all(row.off for row in small)
    assert "this node has 4 GB" in small[0].note
    middle = model_rows(node_status(memory_limit=4_000_000_000, gpu_memory=16_000_000_000))
    assert [row.off for row in middle] == [False, False, True, True, True]
    assert not any(row.off for row in model_rows(None)), "unknown is not impossible"
    assert len(HUB_MODELS) == 5
