"""The memory that a process may use: the smaller of the container's limit and the machine's RAM."""

from __future__ import annotations

from pathlib import Path

from swarm_core.memory_limit import memory_limit


def test_the_smaller_counts(tmp_path: Path) -> None:
    cgroup, meminfo = tmp_path / "memory.max", tmp_path / "meminfo"
    assert memory_limit((cgroup,), meminfo) is None
    meminfo.write_text("MemFree: 1 kB\nMemTotal:       1000 kB\n")
    assert memory_limit((cgroup,), meminfo) == 1_024_000
    cgroup.write_text("max\n")
    assert memory_limit((cgroup,), meminfo) == 1_024_000
    cgroup.write_text("4096\n")
    assert memory_limit((cgroup,), meminfo) == 4096
    assert (memory_limit() or 0) > 1_000_000
