"""How much memory is free, asked before a large volume is read."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from Med3DCore.errors import ResourceError


class _MemoryStatus(ctypes.Structure):
    """What Windows fills in."""

    _fields_ = (
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("total", "available", "a", "b", "c", "d", "e")),
    )


def free_memory() -> int | None:
    """Bytes that programs can still have, or None where the system does not tell.

    macOS tells only how much memory the computer has in all, so there the answer is an upper limit.
    """
    if sys.platform == "win32":
        status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
        found = ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.available) if found else None
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out; torch has a class of its own for GPUs and none for the CPU."""
    texts = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(text in str(error) for text in texts)
    )


def require_memory(needed: int, name: str) -> None:
    """Stop before a volume is read that does not fit.

    Args:
        needed: Bytes that reading takes at its highest point.
        name: What to call the volume.

    Raises:
        ResourceError: Less is free.
    """
    free = free_memory()
    if free is not None and needed > free:
        raise ResourceError(
            f"{name} needs {needed / 1e9:.1f} GB of memory to be read but {free / 1e9:.1f} GB are free; "
            "close other programs, or crop or resample it first."
        )
