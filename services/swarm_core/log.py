"""Structured log: one line per event, `key=value` for people or JSON for machines.

Works with the standard library's logging. Exceptions are logged by their text; a stack trace appears only
for what nobody expected (`crash`).
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Literal

_ROOT = "swarm"
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Logger:
    """Event words plus structured fields: `log.info("round done", round=7, reward=0.31)`."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{name}")

    def debug(self, event: str, **fields: Any) -> None:
        self._emit(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._emit(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._emit(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._emit(logging.ERROR, event, fields)

    def crash(self, event: str, error: BaseException, **fields: Any) -> None:
        """An error nobody planned for: with its stack trace."""
        self._logger.error(event, extra={"fields": fields}, exc_info=error)

    def _emit(self, level: int, event: str, fields: dict[str, Any]) -> None:
        self._logger.log(level, event, extra={"fields": fields})


def get_logger(name: str) -> Logger:
    """A logger named after the module's subject, e.g. `get_logger("outbox")`."""
    return Logger(name)


def setup(process: str, *, fmt: Literal["text", "json"] = "text", level: str = "info") -> None:
    """Send all log lines of this process to standard error. Call once, at start."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter(process) if fmt == "json" else _TextFormatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # libraries speak up only when something is wrong
    logging.getLogger(_ROOT).setLevel(_LEVELS[level])
    logging.captureWarnings(True)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields = getattr(record, "fields", None)
    return fields if isinstance(fields, dict) else {}


class _TextFormatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%H:%M:%S", time.gmtime(record.created))
        words = [f"{stamp} {record.levelname.lower():7} {self._process}: {_one_line(record.getMessage())}"]
        words += [f"{key}={_plain(value)}" for key, value in _fields(record).items()]
        line = " ".join(words)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class _JsonFormatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name.removeprefix(f"{_ROOT}."),
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def _one_line(text: str) -> str:
    """`text` without line breaks and terminal control, whoever wrote it."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def _plain(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value)
    return text if text.isprintable() and text and not {" ", "="} & set(text) else json.dumps(text)
