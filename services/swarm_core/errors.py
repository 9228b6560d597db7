"""The one exception tree.

SwarmError
├── FatalError        the process cannot go on: one sentence and a remedy, a non-zero exit
│   └── ConfigError   settings are wrong (exit 78)
├── RecordError       a wire record was refused; carries a short reason for a counter
├── Unavailable       a service or the RPC gave no usable answer in time; try later
└── Refused           a service answered and said no; trying again does not help
"""

from __future__ import annotations

EXIT_FAILURE = 1
EXIT_WATCHDOG = 70
EXIT_CONFIG = 78


class SwarmError(Exception):
    """Root of everything this project raises on purpose."""


class FatalError(SwarmError):
    """A condition the process cannot work under.

    `message` says what is wrong, `remedy` what the operator does about it; the runner prints both as one line.
    """

    exit_code = EXIT_FAILURE

    def __init__(self, message: str, remedy: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        if exit_code is not None:
            self.exit_code = exit_code

    def __str__(self) -> str:
        return f"{self.message} Remedy: {self.remedy}" if self.remedy else self.message


class ConfigError(FatalError):
    """Settings, or files that settings point at, are wrong. `problems` lists them singly, when there are several."""

    exit_code = EXIT_CONFIG
    problems: tuple[str, ...] = ()


class RecordError(SwarmError):
    """Bytes from outside are not a valid record. `reason` is a short word for a counter's label."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class Unavailable(SwarmError):
    """No usable answer in time (connection refused, time-out, 5xx, open breaker)."""


class Refused(SwarmError):
    """The other side answered with a 4xx: `status` and its `detail`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
