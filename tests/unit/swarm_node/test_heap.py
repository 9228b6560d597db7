"""Free memory stays the process's after `keep_pages`, also where a thread allocates; `trim` gives it back."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, resource, sys, threading
from swarm_core.resident import resident_bytes
from swarm_node import heap

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes, libc.free.argtypes = [ctypes.c_size_t], [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
SIZE = 100_000_000


def use():
    block = libc.malloc(SIZE)
    libc.memset(block, 1, SIZE)
    libc.free(block)


def work():
    use()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    use()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


if "keep" in sys.argv:
    heap.one_arena()
    heap.keep_pages()
thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resident_bytes())
heap.trim()
print(resident_bytes())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_pages_are_kept_and_given_back() -> None:
    def run(*arguments: str) -> list[int]:
        command = [sys.executable, "-c", SCRIPT, *arguments]
        printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        return [int(line) for line in printed.split()]

    faults, resident, _ = run()
    assert faults > 20_000, "the kernel hands out the pages anew"
    kept_faults, kept, trimmed = run("keep")
    assert kept_faults < 100
    assert kept > resident + 90_000_000
    assert trimmed < kept - 90_000_000
