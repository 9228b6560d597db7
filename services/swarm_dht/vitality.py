"""Whether a process that does not answer is stopped or hung, or only waits for a turn on a busy machine.

Reads /proc/<pid>/stat (proc(5)). Works with `supervisor`: a starved p2pd that is killed loses its connections and needs
more of the CPU that it did not get.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_STATE, _USER_TICKS, _SYSTEM_TICKS = 0, 11, 12  # fields behind the command's closing bracket
_STOPPED = frozenset("TtZX")  # stopped, traced, zombie, dead


class Vitality(NamedTuple):
    """State letter of the main thread, and CPU ticks that all threads have used."""

    state: str
    ticks: int


def look(pid: int) -> Vitality | None:
    """What the kernel says of the process now, None when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return Vitality(fields[_STATE], int(fields[_USER_TICKS]) + int(fields[_SYSTEM_TICKS]))
    except (OSError, ValueError, IndexError):
        return None


def starved(before: Vitality | None, now: Vitality | None) -> bool:
    """Whether the process worked, or waited for a CPU, between two looks."""
    if before is None or now is None or now.state in _STOPPED:
        return False
    return now.state == "R" or now.ticks > before.ticks
