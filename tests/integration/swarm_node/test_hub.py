"""Hub: who may write, how a repository is called, what the card says, and that the real client pushes and resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
from tests.support.fake_hub import TOKENS, FakeHub
from tests.support.statuses import MAIN_PEER

from swarm_core.errors import ConfigError
from swarm_core.hub_scope import may_write
from swarm_core.names import peer_name
from swarm_core.status import RoundRecord
from swarm_node import hub
from swarm_node.hub import HubUnavailable, repository_name
from swarm_node.hub_client import fetch
from swarm_node.model_card import curve, model_card

ANIMAL = peer_name(MAIN_PEER).replace(" ", "_")


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """The Hub that huggingface_hub talks to; its cache is below tmp_path."""
    with FakeHub() as server:
        for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_HOME"):
            if hasattr(huggingface_hub.constants, name):
                monkeypatch.setattr(huggingface_hub.constants, name, server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server


@pytest.mark.parametrize(
    ("token", "allowed"),
    [("hf_write", True), ("hf_read", False), ("hf_fine", True), ("hf_fine_read", False), ("hf_fine_other", False)],
)
def test_who_may_write(token: str, allowed: bool) -> None:
    assert may_write({"name": "ada", "auth": {"accessToken": TOKENS[token]}}) is allowed


def test_a_strange_answer_may_not_write() -> None:
    assert may_write({}) is False


def test_tokens_are_checked_at_the_hub(fake: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.hf_api, "ENDPOINT", fake.url, raising=False)
    assert hub.check_token("hf_write").user == "ada"
    with pytest.raises(ConfigError, match="may only read"):
        hub.check_token("hf_read")
    with pytest.raises(ConfigError, match="does not know"):
        hub.check_token("hf_wrong")
    fake.mode = "down"
    with pytest.raises(HubUnavailable):
        hub.check_token("hf_write")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("embedded", f"ada/embedded-Gensyn-Swarm-{ANIMAL}"),
        ("Gensyn/Qwen2.5-0.5B-Instruct", f"ada/Qwen2.5-0.5B-Instruct-Gensyn-Swarm-{ANIMAL}"),
        ("/models/my model/", f"ada/my-model-Gensyn-Swarm-{ANIMAL}"),
    ],
)
def test_the_repository_is_called_as_upstream_calls_it(model: str, expected: str) -> None:
    assert repository_name("ada", model, MAIN_PEER) == expected
    assert len(repository_name("ada", "x" * 200, MAIN_PEER).partition("/")[2]) == 96


def records(count: int) -> list[RoundRecord]:
    return [
        RoundRecord(
            training_round=number,
            finished_at=0.0,
            result="ok",
            own_reward=number / count,
            held_out_reward=0.25 if number % 10 == 0 else None,
        )
        for number in range(count)
    ]


def test_the_card_tells_reward_and_settings() -> None:
    card = model_card("ada/m", "Qwen/Qwen3-0.6B", "a b c", records(100), {"learning_rate": 0.0003})
    assert card.startswith("---\nbase_model: Qwen/Qwen3-0.6B\n")
    assert "| 0 to 9 | 0.045 | 0.250 |" in card
    assert "| 90 to 99 | 0.945 | 0.250 |" in card
    assert "| learning_rate | 0.0003 |" in card
    assert "State after round 99." in card
    assert "base_model" not in model_card("ada/m", "embedded", "a b c", [], {})
    assert "No round is finished yet" in model_card("ada/m", "embedded", "a b c", [], {})


def test_the_curve_is_drawn() -> None:
    drawn = curve(records(50))
    assert drawn.count("<polyline") == 2
    assert len(drawn.split('stroke="#2563eb"')[1].split('points="')[1].split('"')[0].split()) == 50
    assert curve([]).startswith("<svg")


def test_a_download_that_broke_off_goes_on(
    fake: FakeHub, tmp_path: Path, make_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # what is written to disk at once
    make_model().save_pretrained(tmp_path / "made")
    files = {path.name: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    fake.files["ada/m"] = files | {"evil.bin": b"never asked for"}
    size = len(files["model.safetensors"])
    fake.break_after = size // 2
    directory = fetch("ada/m", tries=3, pause=0.01)
    assert (directory / "model.safetensors").read_bytes() == files["model.safetensors"]
    assert not (directory / "evil.bin").exists()
    ranges = [asked for _, path, asked in fake.requests if path.endswith("model.safetensors") and asked]
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in ranges]
    assert starts
    assert size // 2 - 1024 <= starts[0] <= size // 2
    # a second start needs the network for nothing but a look, and works without it
    fake.mode = "down"
    assert fetch("ada/m", tries=1) == directory


def test_a_model_that_is_not_there(fake: FakeHub) -> None:
    with pytest.raises(ConfigError, match="RepositoryNotFoundError"):
        fetch("ada/none", tries=3, pause=0.01)
    fake.mode = "down"
    with pytest.raises(ConfigError, match="could not be downloaded"):
        fetch("ada/other", tries=1)
