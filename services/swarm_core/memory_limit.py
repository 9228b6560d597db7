"""How much memory this process may use: the container's limit or the machine's, whichever is smaller."""

from __future__ import annotations

from pathlib import Path

_CGROUP_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_MEMINFO = Path("/proc/meminfo")


def memory_limit(cgroup_files: tuple[Path, ...] = _CGROUP_FILES, meminfo: Path = _MEMINFO) -> int | None:
    """Bytes, None when the kernel does not tell."""
    found = []
    for path in cgroup_files:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text.isdecimal():  # "max": no limit
            found.append(int(text))
    try:
        total = next(line for line in meminfo.read_text().splitlines() if line.startswith("MemTotal:"))
        found.append(int(total.split()[1]) * 1024)
    except (OSError, StopIteration, ValueError, IndexError):
        pass
    return min(found, default=None)
