"""The owner's choices: kept on disk, handed over with a revision; a Hub token is stored only if it may write."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from pydantic import ValidationError

from login_proxy.choices import BadToken, ChoiceStore
from swarm_core.choices import NodeChoices
from swarm_core.errors import FatalError, Unavailable

TOKEN = "hf_abcdefgh"
ANSWERS: dict[str, tuple[int, object]] = {
    "write": (200, {"name": "ada", "auth": {"accessToken": {"role": "write"}}}),
    "read": (200, {"name": "ada", "auth": {"accessToken": {"role": "read"}}}),
    "unknown": (401, {"error": "Invalid credentials"}),
    "down": (503, {}),
    "odd": (200, []),
    "odder": (200, {"auth": 7}),
}


def store(tmp_path: Path, answer: str = "write") -> ChoiceStore:
    def hub(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://hub/api/whoami-v2"
        assert request.headers["authorization"] == f"Bearer {TOKEN}"
        status, body = ANSWERS[answer]
        return httpx.Response(status, json=body)

    return ChoiceStore(tmp_path / "choices.json", tmp_path, "http://hub/", httpx.MockTransport(hub))


def test_answers_are_kept_and_counted(tmp_path: Path) -> None:
    choices = store(tmp_path)
    assert choices.current == NodeChoices()
    assert choices.change(model="Qwen/Qwen3-0.6B", market=True)
    assert not choices.change(model="Qwen/Qwen3-0.6B")
    assert choices.change(model="")
    assert store(tmp_path).current == NodeChoices(revision=2, market=True)
    assert (tmp_path / "choices.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("model", ["no slash", "a/b/c", "../x", "x" * 300, "a b/c", "http://x/y", "-x/y", "a/b\n"])
def test_what_is_no_model_is_refused(tmp_path: Path, model: str) -> None:
    choices = store(tmp_path)
    with pytest.raises(ValidationError):
        choices.change(model=model)
    assert choices.current == NodeChoices()


@pytest.mark.parametrize("model", ["", "auto", "embedded", "Qwen/Qwen3-0.6B", "/models/mine"])
def test_what_is_a_model(tmp_path: Path, model: str) -> None:
    assert NodeChoices(model=model).model == model


def test_damage_is_told(tmp_path: Path) -> None:
    (tmp_path / "choices.json").write_text("{")
    with pytest.raises(FatalError, match="damaged"):
        store(tmp_path)


async def test_only_a_token_that_writes_is_good(tmp_path: Path) -> None:
    assert await store(tmp_path).check_token(TOKEN) == "ada"
    for answer in ("read", "unknown"):
        with pytest.raises(BadToken):
            await store(tmp_path, answer).check_token(TOKEN)
    for answer in ("down", "odd", "odder"):
        with pytest.raises(Unavailable):
            await store(tmp_path, answer).check_token(TOKEN)
    for text in ("", "short", "with blank", "ü" * 20, "x" * 300, "a\nbcdefghij"):
        with pytest.raises(BadToken):
            await store(tmp_path).check_token(text)


def test_the_token_is_a_file_that_the_workers_may_read(tmp_path: Path) -> None:
    choices = store(tmp_path)
    choices.store_token(TOKEN)
    assert choices.token_file.read_text() == f"{TOKEN}\n"
    assert choices.token_file.stat().st_mode & 0o777 == 0o640
    choices.forget_token()
    choices.forget_token()
    assert not choices.token_file.exists()


def test_what_needs_a_restart_of_the_worker() -> None:
    before = NodeChoices(model="auto", hub_push=False)
    assert not NodeChoices(revision=9, model="auto", market=True, hub_token=3).needs_restart(before)
    assert NodeChoices(model="embedded").needs_restart(before)
    assert NodeChoices(model="auto", hub_push=True).needs_restart(before)
    assert NodeChoices(hub_push=True, hub_token=2).needs_restart(NodeChoices(hub_push=True, hub_token=1))
