"""How much memory this process may use: the container's limit or the machine's, whichever is smaller."""

from __future__ import annotations

from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")
_UNLIMITED = 2**60  # version 1 writes a huge number where there is no limit


def memory_limit(cgroup: Path = CGROUP, meminfo: Path = _MEMINFO) -> int | None:
    """Bytes, None when the kernel does not tell."""
    found = [cgroup_limit(cgroup)]
    try:
        total = next(line for line in meminfo.read_text().splitlines() if line.startswith("MemTotal:"))
        found.append(int(total.split()[1]) * 1024)
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    return min(filter(None, found), default=None)


def cgroup_limit(root: Path = CGROUP) -> int | None:
    """The limit in bytes of the cgroup mounted at `root`, version 2 or 1; None: no limit."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            text = (root / name).read_text().strip()
        except OSError:
            continue
        return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None
    return None
