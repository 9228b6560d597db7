"""Settings: every problem in one error, unknown variables with a suggestion, directories probed, secrets not shown."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import Field, ValidationError

from swarm_core.env_names import COMPOSE_NAMES, KNOWN_NAMES, PROCESS_NAMES
from swarm_core.errors import EXIT_CONFIG, ConfigError
from swarm_core.settings import SecretFile, SwarmSettings, inherited_environment, load, read_secret


class Sample(SwarmSettings):
    """A process's settings; the names are real ones, since others are refused."""

    round_seconds: int = Field(10, ge=1)
    node_name: str = "main"
    state_dir: Path | None = None
    api_token_file: SecretFile | None = None

    def writable_directories(self) -> Iterator[Path]:
        if self.state_dir is not None:
            yield self.state_dir


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("SWARM_")]:
        monkeypatch.delenv(name)


def problems(cls: type[SwarmSettings] = Sample) -> str:
    with pytest.raises(ConfigError) as caught:
        load(cls)
    assert caught.value.exit_code == EXIT_CONFIG == 78
    assert "\n" not in str(caught.value)
    assert ".env" in caught.value.remedy
    return caught.value.message


def test_defaults_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(Sample).round_seconds == 10
    monkeypatch.setenv("SWARM_ROUND_SECONDS", "7")
    monkeypatch.setenv("PATH_OF_ANOTHER_PROGRAM", "x")  # not ours
    assert load(Sample).round_seconds == 7


def test_overrides_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_ROUND_SECONDS", "7")
    assert load(Sample, round_seconds=5).round_seconds == 5


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        load(Sample).round_seconds = 3


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_ROUND_SECONDS", "")
    monkeypatch.setenv("SWARM_API_TOKEN_FILE", "")
    settings = load(Sample)
    assert (settings.round_seconds, settings.api_token_file) == (10, None)


def test_the_variable_and_its_value_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_ROUND_SECONDS", "abc")
    text = problems()
    assert "SWARM_ROUND_SECONDS" in text
    assert "'abc'" in text


def test_every_problem_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SWARM_ROUND_SECONDS", "0")
    monkeypatch.setenv("SWARM_LOG_LEVEL", "loud")
    monkeypatch.setenv("SWARM_FOO", "1")
    monkeypatch.setenv("SWARM_API_TOKEN_FILE", str(tmp_path / "token"))
    text = problems()
    for part in ("SWARM_ROUND_SECONDS", "SWARM_LOG_LEVEL", "SWARM_FOO is not a known setting", "token does not exist"):
        assert part in text


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("SWARM_ROUND_SECOND", "(did you mean SWARM_ROUND_SECONDS?)"),
        ("SWARM_MODLE", "(did you mean SWARM_MODEL?)"),
        ("swarm_rpc_ur", "(did you mean SWARM_RPC_URL?)"),
    ],
)
def test_an_unknown_name_with_a_near_one(monkeypatch: pytest.MonkeyPatch, name: str, hint: str) -> None:
    monkeypatch.setenv(name, "1")
    assert f"{name} is not a known setting {hint}" in problems()


def test_an_unknown_name_like_no_other_gets_no_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_QQQQQ", "hunter2")
    text = problems()
    assert "SWARM_QQQQQ is not a known setting." in text
    assert "hunter2" not in text  # it may be a secret that has the wrong name


def test_names_of_other_processes_and_of_compose_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in KNOWN_NAMES - {"SWARM_ENV_VERSION", "SWARM_LOG_FORMAT", "SWARM_LOG_LEVEL"}:
        if name.removeprefix("SWARM_").lower() not in Sample.model_fields:
            monkeypatch.setenv(name, "anything")
    assert load(Sample).node_name == "main"


def test_no_name_is_listed_twice() -> None:
    assert not PROCESS_NAMES & COMPOSE_NAMES


def test_another_schema_version_of_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_ENV_VERSION", "1")
    load(Sample)
    monkeypatch.setenv("SWARM_ENV_VERSION", "2")
    assert "SWARM_ENV_VERSION" in problems()


def test_a_missing_directory_is_made_and_left_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    directory = tmp_path / "a" / "b"
    monkeypatch.setenv("SWARM_STATE_DIR", str(directory))
    load(Sample)
    assert list(directory.iterdir()) == []


def test_a_directory_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # a file in its place: refused for every user, root included
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SWARM_STATE_DIR", str(tmp_path / "file" / "state"))
    text = problems()
    assert f"the directory {tmp_path}/file/state cannot be written by uid {os.getuid()}" in text


def test_a_read_only_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_STATE_DIR", "/proc")  # the kernel refuses new files here, to root as well
    assert "the directory /proc cannot be written" in problems()


class Needy(SwarmSettings):
    node_name: str
    keys_dir: Path


def test_missing_values_are_named_without_a_value() -> None:
    text = problems(Needy)
    assert "SWARM_NODE_NAME" in text
    assert "SWARM_KEYS_DIR" in text
    assert "got" not in text


class WithSecret(SwarmSettings):
    setup_secret: int = 0


def test_the_value_of_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_SETUP_SECRET", "hunter2")
    text = problems(WithSecret)
    assert "SWARM_SETUP_SECRET" in text
    assert "hunter2" not in text


def test_a_long_value_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_ROUND_SECONDS", "x" * 10_000)
    assert len(problems()) < 400


def test_secret_file_is_read_and_stripped(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("  abc\n")
    assert read_secret(file) == "abc"


@pytest.mark.parametrize("content", [b"", b" \n", b"x" * 4097, b"\xff\xfe"])
def test_a_bad_secret_file_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_secret(file)
    assert str(file) in str(caught.value)
    assert "xxx" not in str(caught.value)


def test_a_missing_secret_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(tmp_path / "none")


def test_a_child_inherits_a_copy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARM_MODEL", "embedded")
    environment = inherited_environment()
    assert environment["SWARM_MODEL"] == "embedded"
    environment["SWARM_MODEL"] = "other"
    assert os.environ["SWARM_MODEL"] == "embedded"


class Rate(SwarmSettings):
    """One number."""

    learning_rate: float | None = Field(None, ge=0)


@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e999"])
def test_no_number_is_infinite(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SWARM_LEARNING_RATE", value)
    assert "SWARM_LEARNING_RATE" in problems(Rate)
