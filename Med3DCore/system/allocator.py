"""Keep the memory of freed arrays for the next ones, instead of having the system clear new pages for each.

glibc takes an array of many megabytes from the system and gives it back at once when it is freed, and the system clears
each page anew: a sixth of the processor time of segmenting a scan. Arrays of 64 MB and more are left so: they are few,
and one that is freed leaves a hole that the next ones split, so that the large ones would lie beside each other in the
end. Only for processes of our own (the command, the worker), since it holds for the whole process; other systems than
Linux with glibc are left as they are.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# mallopt's names, from malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8

_KEPT_BYTES = 512 << 20
_LARGEST = 64 << 20


def keep_freed_memory() -> None:
    """From now on: keep up to half a gigabyte that nobody uses, and use it again, whichever thread frees it."""
    libc = _glibc()
    if libc is not None:
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST)
        libc.mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_ARENA_MAX, 1)


def return_freed_memory() -> None:
    """Give the system all that is kept, for example when a job is done and nobody knows when the next one comes."""
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


@cache
def _glibc() -> ctypes.CDLL | None:
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None
