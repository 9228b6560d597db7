"""Device, precision and thread count, chosen from the hardware and the container's CPU quota.

`choose_device` looks at the machine once; `DeviceChoice.for_model` refines the choice when the model's size is known.
Works with `model`, `policy` and `train`, which run inside `DeviceChoice.autocast()`.
"""

import contextlib
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from swarm_core.errors import ConfigError

DeviceName = Literal["auto", "cpu", "cuda"]
Precision = Literal["auto", "float32", "bfloat16"]

# Below this a model is bound by the overhead of each call: casts cost more than the faster products save,
# and threads spend their time at barriers.
SMALL_MODEL_PARAMETERS = 3_000_000


@dataclass(frozen=True)
class DeviceChoice:
    """Where and how to compute.  `autocast_dtype` is None for plain float32."""

    device: torch.device
    autocast_dtype: torch.dtype | None
    threads: int
    memory_bytes: int | None = None  # of the GPU; None on a CPU
    automatic_precision: bool = False

    @property
    def compute_dtype(self) -> torch.dtype:
        """The type that products are computed in; keys and values are cached in it."""
        return self.autocast_dtype or torch.float32

    @property
    def label(self) -> str:
        """For status and metrics: `cpu` or `cuda:0`."""
        return str(self.device)

    @contextlib.contextmanager
    def autocast(self) -> Iterator[None]:
        """Mixed precision for the model's products; weights, gradients and the optimiser stay float32."""
        if self.autocast_dtype is None:
            yield
            return
        with torch.autocast(self.device.type, dtype=self.autocast_dtype):
            yield

    def for_model(self, parameters: int) -> "DeviceChoice":
        """The choice refined for a model of that many parameters: a small one runs in float32 on one thread."""
        if self.device.type != "cpu" or parameters >= SMALL_MODEL_PARAMETERS:
            return self
        return replace(self, threads=1, autocast_dtype=None if self.automatic_precision else self.autocast_dtype)

    def apply_threads(self) -> None:
        """Set the process's compute threads; call once, before the first product."""
        torch.set_num_threads(self.threads)


def choose_device(requested: DeviceName = "auto", precision: Precision = "auto") -> DeviceChoice:
    """The best device of this machine, or the requested one.  Raises ConfigError when CUDA is asked for and absent."""
    threads = available_threads()
    cuda = torch.cuda.is_available()
    if requested == "cuda" and not cuda:
        raise ConfigError(
            "SWARM_DEVICE is cuda but no CUDA device is visible",
            "use the CUDA image on a machine with an NVIDIA driver, or set SWARM_DEVICE=cpu",
        )
    if cuda and requested != "cpu":
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        memory = torch.cuda.get_device_properties(0).total_memory
        return DeviceChoice(
            torch.device("cuda", 0), _autocast_dtype(precision, has_bfloat16), threads, memory, precision == "auto"
        )
    dtype = _autocast_dtype(precision, cpu_has_bfloat16(Path("/proc/cpuinfo")))
    return DeviceChoice(torch.device("cpu"), dtype, threads, None, precision == "auto")


def _autocast_dtype(precision: Precision, has_bfloat16: bool) -> torch.dtype | None:
    wanted = has_bfloat16 if precision == "auto" else precision == "bfloat16"
    return torch.bfloat16 if wanted else None


def cpu_has_bfloat16(cpuinfo: Path) -> bool:
    """Whether the CPU multiplies bfloat16 faster than float32: AMX on x86, BF16 on Arm.

    AVX512_BF16 alone does not: its products of 72 rows were measured at 0.6 times the speed of float32.
    """
    try:
        text = cpuinfo.read_text()
    except OSError:
        return False
    for line in text.splitlines():
        name, _, flags = line.partition(":")
        if name.strip().lower() in ("flags", "features"):
            return not {"amx_bf16", "bf16"}.isdisjoint(flags.split())
    return False


def available_threads() -> int:
    """Compute threads: the CPUs this process may run on, limited by the cgroup's quota, at least 1."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cgroup_cpu_quota(Path("/sys/fs/cgroup"))
    return max(1, affinity if quota is None else min(affinity, math.floor(quota)))


def cgroup_cpu_quota(root: Path) -> float | None:
    """CPUs granted by the cgroup mounted at `root`, version 2 (`cpu.max`) or 1 (`cpu/cpu.cfs_*`); None: no limit."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass  # not version 2, or no controller there
    try:
        quota_us = int((root / "cpu" / "cpu.cfs_quota_us").read_text())
        period_us = int((root / "cpu" / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return quota_us / period_us if quota_us > 0 and period_us > 0 else None
