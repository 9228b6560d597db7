"""Resident memory of a process, as the kernel counts it (proc(5), statm)."""

from __future__ import annotations

import resource
from pathlib import Path


def resident_bytes(process: int | str = "self") -> int:
    """Bytes of a process (by its id) that are in memory, shared ones included. Raises OSError when it is gone."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()
