"""The log: one line per event, whatever is in it; fields readable by people and by machines."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator

import pytest

from swarm_core import log as log_module
from swarm_core.log import get_logger


class Output:
    """What went to standard error in this test."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self._text = ""

    def getvalue(self) -> str:
        self._text += self._capsys.readouterr().err
        return self._text


@pytest.fixture
def output(capsys: pytest.CaptureFixture[str]) -> Iterator[Output]:
    """Standard error; the process's logging is put back afterwards."""
    root, ours = logging.getLogger(), logging.getLogger("swarm")
    before = (root.handlers[:], root.level, ours.level)
    yield Output(capsys)
    root.handlers[:], level, own_level = before
    root.setLevel(level)
    ours.setLevel(own_level)
    logging.captureWarnings(False)


def lines(output: Output) -> list[str]:
    return output.getvalue().splitlines()


def test_text(output: Output) -> None:
    log_module.setup("swarm-node")
    get_logger("worker").info("round done", round=7, reward=0.123456, state="ok")
    (line,) = lines(output)
    assert line.endswith("info    swarm-node: round done round=7 reward=0.1235 state=ok")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two words", '"two words"'),
        ("", '""'),
        ("a=b", '"a=b"'),
        ("plain", "plain"),
        ("a\nb", '"a\\nb"'),
        ("a\r\nb", '"a\\r\\nb"'),
        ("\x1b[2J", '"\\u001b[2J"'),
        (None, "None"),
        (1e-9, "1e-09"),
        (123456.7, "1.235e+05"),
    ],
)
def test_text_values(output: Output, value: object, shown: str) -> None:
    log_module.setup("p")
    get_logger("x").info("event", key=value)
    assert lines(output)[0].endswith(f"event key={shown}")


HOSTILE = "peer\n12:00:00 error   p: forged\r\x1b[2Jx\u2028y\x85z\x0b"


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_nothing_from_outside_makes_a_second_line(output: Output, fmt: str) -> None:
    log_module.setup("p", fmt=fmt)  # type: ignore[arg-type]
    get_logger("x").warning(HOSTILE, key=HOSTILE, nested=[HOSTILE])
    assert len(lines(output)) == 1
    assert "\x1b" not in output.getvalue()  # no control of the terminal either


def test_json(output: Output) -> None:
    log_module.setup("swarm-node", fmt="json")
    get_logger("worker").error("round failed", round=7, reason="OSError", path={1})
    (line,) = lines(output)
    entry = json.loads(line)
    assert entry.pop("time") > 1_600_000_000
    assert entry == {
        "level": "error", "process": "swarm-node", "logger": "worker", "event": "round failed",
        "round": 7, "reason": "OSError", "path": "{1}",
    }  # fmt: skip


def test_level_and_libraries(output: Output) -> None:
    log_module.setup("p", level="warning")
    log = get_logger("x")
    log.debug("no")
    log.info("no")
    log.warning("yes")
    logging.getLogger("library").info("no")
    logging.getLogger("library").warning("theirs")
    assert [line.rsplit(" ", 1)[1] for line in lines(output)] == ["yes", "theirs"]


def test_debug_level(output: Output) -> None:
    log_module.setup("p", level="debug")
    get_logger("x").debug("fine")
    assert len(lines(output)) == 1


def test_warnings_go_to_the_log(output: Output) -> None:
    log_module.setup("p")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old call", UserWarning, stacklevel=1)
    assert "old call" in output.getvalue()
    assert len(lines(output)) == 1


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_a_crash_has_its_stack(output: Output, fmt: str) -> None:
    log_module.setup("p", fmt=fmt)  # type: ignore[arg-type]
    try:
        raise KeyError("planned by nobody")
    except KeyError as error:
        get_logger("x").crash("failed", error, part="a")
    text = output.getvalue()
    assert "Traceback" in text
    assert "planned by nobody" in text
    if fmt == "json":
        assert json.loads(text)["part"] == "a"


def test_setting_up_twice_does_not_double_the_lines(output: Output) -> None:
    log_module.setup("p")
    log_module.setup("p")
    get_logger("x").info("once")
    assert len(lines(output)) == 1
