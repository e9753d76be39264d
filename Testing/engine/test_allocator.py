"""Freed memory is used again, and given back when asked to."""

import subprocess
import sys

import pytest

from Med3DCore.system.allocator import _glibc

SCRIPT = """
import ctypes, resource, sys
import numpy as np
from Med3DCore.system.allocator import keep_freed_memory, return_freed_memory

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # no huge pages, or a count says little of how much was cleared

def faults(size=32 << 20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.empty(size, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "keep":
    keep_freed_memory()
first, second = faults(), faults()
return_freed_memory()
print(first, second, faults(), faults(96 << 20), faults(96 << 20))
"""


@pytest.mark.skipif(_glibc() is None, reason="only glibc is told to keep memory")
@pytest.mark.parametrize("how", ["keep", "leave"])
def test_pages_are_cleared_once_where_memory_is_kept(how):
    output = subprocess.run([sys.executable, "-c", SCRIPT, how], capture_output=True, text=True, check=True).stdout
    first, second, later, large, again = map(int, output.split())
    fresh = first // 2  # whatever the size of a page
    assert first > 0 and (second < fresh) is (how == "keep") and later > fresh
    assert again > large // 2 > 0  # of those nothing is kept
