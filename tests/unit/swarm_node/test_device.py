"""Device, precision and threads follow the hardware files and the cgroup's quota."""

from pathlib import Path

import pytest
import torch

from swarm_core.errors import ConfigError
from swarm_node import device as device_module
from swarm_node.device import DeviceChoice, available_threads, cgroup_cpu_quota, choose_device, cpu_has_bfloat16


@pytest.mark.parametrize(("text", "quota"), [("max 100000", None), ("150000 100000", 1.5), ("50000 100000", 0.5)])
def test_cgroup_version_2(tmp_path: Path, text: str, quota: float | None) -> None:
    (tmp_path / "cpu.max").write_text(text + "\n")
    assert cgroup_cpu_quota(tmp_path) == quota


@pytest.mark.parametrize(("value", "quota"), [("-1", None), ("200000", 2.0), ("0", None), ("x", None)])
def test_cgroup_version_1(tmp_path: Path, value: str, quota: float | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(value + "\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cgroup_cpu_quota(tmp_path) == quota


def test_no_cgroup(tmp_path: Path) -> None:
    assert cgroup_cpu_quota(tmp_path) is None


@pytest.mark.parametrize(("quota", "threads"), [(None, 4), (0.5, 1), (2.7, 2), (64.0, 4)])
def test_threads(monkeypatch: pytest.MonkeyPatch, quota: float | None, threads: int) -> None:
    monkeypatch.setattr(device_module, "cgroup_cpu_quota", lambda _: quota)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert available_threads() == threads


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16\n", False),
        ("flags : fpu amx_bf16 amx_tile\n", True),
        ("Features\t: fp asimd bf16\n", True),
        ("flags : fpu avx2 avx512f\n", False),
        ("model name : bf16\n", False),
        ("", False),
    ],
)
def test_bfloat16_of_the_cpu(tmp_path: Path, text: str, expected: bool) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    assert cpu_has_bfloat16(tmp_path / "cpuinfo") is expected
    assert cpu_has_bfloat16(tmp_path / "missing") is False


def test_cuda_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="SWARM_DEVICE=cpu"):
        choose_device("cuda")
    assert choose_device("auto").label == "cpu"


def test_precision_asked_for_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "cpu_has_bfloat16", lambda _: True)
    assert choose_device("cpu").compute_dtype is torch.bfloat16
    assert choose_device("cpu", "float32").compute_dtype is torch.float32
    monkeypatch.setattr(device_module, "cpu_has_bfloat16", lambda _: False)
    assert choose_device("cpu").autocast_dtype is None
    assert choose_device("cpu", "bfloat16").compute_dtype is torch.bfloat16


def test_a_small_model_runs_in_float32_on_one_thread() -> None:
    choice = DeviceChoice(torch.device("cpu"), torch.bfloat16, 8, automatic_precision=True)
    small, large = choice.for_model(850_000), choice.for_model(500_000_000)
    assert (small.threads, small.autocast_dtype) == (1, None)
    assert large == choice
    asked = DeviceChoice(torch.device("cpu"), torch.bfloat16, 8).for_model(850_000)
    assert (asked.threads, asked.autocast_dtype) == (1, torch.bfloat16)


def test_autocast_covers_products_and_ends() -> None:
    a = torch.ones(2, 2)
    with DeviceChoice(torch.device("cpu"), torch.bfloat16, 1).autocast():
        assert (a @ a).dtype is torch.bfloat16
    with DeviceChoice(torch.device("cpu"), None, 1).autocast():
        assert (a @ a).dtype is torch.float32
    assert (a @ a).dtype is torch.float32
