"""Files that survive a crash: complete or as before, never overwritten unasked, locked by one process at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_core import files
from swarm_core.files import LockHeld, exclusive_lock, read_json, write_atomic, write_json


def test_write_and_mode(tmp_path: Path) -> None:
    path = tmp_path / "a"
    before = os.umask(0o077)
    try:
        write_atomic(path, b"one", 0o644)
    finally:
        os.umask(before)
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    write_atomic(path, b"two")
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"two", 0o640)
    assert os.listdir(tmp_path) == ["a"]


def test_group_is_set(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a", b"x", gid=os.getgid())
    assert (tmp_path / "a").stat().st_gid == os.getgid()


@pytest.mark.parametrize("step", ["fsync", "replace", "fchmod"])
def test_a_failure_at_any_step_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, step, fail)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_the_data_is_on_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)

        def record(*arguments: object, name: str = name, real: object = real) -> None:
            steps.append(name)
            real(*arguments)  # type: ignore[operator]

        monkeypatch.setattr(files.os, name, record)
    write_atomic(tmp_path / "a", b"x")
    assert steps == ["fsync", "replace", "fsync"]


def test_overwrite_false_makes_a_file_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomic(path, b"first", overwrite=False)
    with pytest.raises(FileExistsError):
        write_atomic(path, b"second", overwrite=False)
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a"]


def test_json_round_trip_and_absence(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_json(path) is None
    write_json(path, {"b": 1, "a": [None, 0.5]})
    assert read_json(path) == {"a": [None, 0.5], "b": 1}
    assert path.read_text().endswith("}\n")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
def test_what_is_not_json_is_a_value_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r".+"):
        read_json(path)


def test_a_huge_file_is_not_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'"' + b"x" * 98 + b'"')
    assert len(read_json(path, max_bytes=100)) == 98
    with pytest.raises(ValueError, match="larger than 99 bytes"):
        read_json(path, max_bytes=99)


def test_a_lock_excludes_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "1.lock"
    with exclusive_lock(path), pytest.raises(LockHeld, match=r"1\.lock"), exclusive_lock(path):
        pass
    with exclusive_lock(path):
        assert path.exists()


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "1.lock"
    program = (
        "import sys, time; from pathlib import Path; from swarm_core.files import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True,
        env={"PYTHONPATH": str(Path(files.__file__).parents[1])},
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeld), exclusive_lock(path):
            pass
        holder.kill()
        holder.wait(timeout=10)
    with exclusive_lock(path):
        assert holder.returncode < 0
