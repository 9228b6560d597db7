"""What glibc's allocator does with free pages: a round of a large model touches gigabytes, and the kernel clears every
page that it hands out anew. Works with `main` and `worker`; where the C library is another one nothing happens.
"""

from __future__ import annotations

import ctypes

# names of <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_LARGEST = 2**31 - 1  # mallopt takes an int


def one_arena() -> None:
    """Let all threads allocate from one heap, for arenas of their own end at 64 MB; call before there are threads."""
    _mallopt(_M_ARENA_MAX, 1)


def keep_pages() -> None:
    """Keep free pages for the next round. A 0.5B update is a quarter faster for it."""
    _mallopt(_M_MMAP_THRESHOLD, _LARGEST)
    _mallopt(_M_TRIM_THRESHOLD, _LARGEST)


def trim() -> None:
    """Give free pages back to the system, so that the resident size is what is in use."""
    give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give_back is not None:
        give_back(0)


def _mallopt(parameter: int, value: int) -> None:
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(parameter, value)
