"""The memory that a process may use: the smaller of the container's limit and the machine's RAM."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarm_core.memory_limit import cgroup_limit, memory_limit


def test_the_smaller_counts(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    assert memory_limit(tmp_path, meminfo) is None
    meminfo.write_text("MemFree: 1 kB\nMemTotal:       1000 kB\n")
    assert memory_limit(tmp_path, meminfo) == 1_024_000
    (tmp_path / "memory.max").write_text("4096\n")
    assert memory_limit(tmp_path, meminfo) == 4096
    assert (memory_limit() or 0) > 1_000_000


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(("text", "limit"), [("4096\n", 4096), ("max\n", None), (f"{2**63 - 4096}\n", None)])
def test_the_limit_of_a_container(name: str, text: str, limit: int | None, tmp_path: Path) -> None:
    assert cgroup_limit(tmp_path) is None
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert cgroup_limit(tmp_path) == limit
