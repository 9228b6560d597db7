"""`swarm-check`: parses the settings of every process before any of them starts.

Compose runs it first, once: a value that only one process reads would otherwise stop that one while the others train.
Asks each console script of this distribution, so that it knows no process by name and imports none of their parts.
"""

from __future__ import annotations

import sys
from importlib.metadata import distribution

from pydantic import Field

from swarm_core import log as logging_setup
from swarm_core.errors import EXIT_CONFIG, ConfigError
from swarm_core.log import get_logger
from swarm_core.runner import CHECK_FLAG
from swarm_core.settings import SwarmSettings, load, settings_error

_NOT_PROCESSES = frozenset({"swarm-check", "swarm-export", "swarm-health", "swarm-identity", "swarm-join-env"})


class ComposeSettings(SwarmSettings):
    """What only Compose acts on, so that nobody else would notice a bad value."""

    local_swarm: int = Field(1, ge=0, le=1, description="1: chain, contracts and bootnode run here; 0: join a swarm.")
    local_peers: int = Field(1, ge=0, le=64, description="Extra peers on this machine.")


def problems() -> list[str]:
    """Every problem that any process has with the environment, each once, in the order found."""
    found: dict[str, None] = {}
    try:
        load(ComposeSettings, probe=False)
    except ConfigError as error:
        found.update(dict.fromkeys(error.problems))
    scripts = [entry for entry in distribution("rl-swarm").entry_points if entry.group == "console_scripts"]
    for script in scripts:
        if script.name in _NOT_PROCESSES:
            continue
        sys.argv = [script.name, CHECK_FLAG]
        try:
            script.load()()
        except SystemExit as end:
            reason: object = end.code
            if isinstance(reason, ConfigError):
                found.update(dict.fromkeys(reason.problems or (str(reason),)))
    return list(found)


def main() -> None:
    """Console script: exit 0, or 78 with one sentence that names everything wrong."""
    logging_setup.setup("swarm-check")
    log = get_logger("check")
    if found := problems():
        log.error(str(settings_error(found)))
        sys.exit(EXIT_CONFIG)
    log.info("settings of all processes are valid")


if __name__ == "__main__":
    main()
