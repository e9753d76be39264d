"""Temporary files and folders whose names say which process they belong to, so that those of dead ones can go."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
import time
import uuid
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

# Nobody can tell whether a process of another computer lives that shares the folder.
_FOREIGN_SECONDS = 24 * 3600
_OWNER = re.compile(r"([0-9a-f]{8})-(\d+)-[0-9a-f]{12}")


def own_name(prefix: str, ending: str = "") -> str:
    """A name that no other file has, such as ``.med3d-1f2e3d4c-4242-0123456789ab.nii.gz``."""
    return f"{prefix}{_computer()}-{os.getpid()}-{uuid.uuid4().hex[:12]}{ending}"


def remove_leftovers(folder: Path, prefix: str) -> None:
    """Delete what killed processes left in a folder; what a living one works on stays.

    Args:
        folder: Need not exist.
        prefix: As given to :func:`own_name`.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in [each for each in entries if each.name.startswith(prefix)]:
            with suppress(OSError):
                if not _is_in_use(entry, prefix):
                    _remove(entry)


def is_living(pid: int) -> bool:
    """Whether a process of this computer has this number."""
    if sys.platform == "win32":  # there os.kill(pid, 0) is no question
        import ctypes

        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return kernel.GetLastError() == 5  # access denied: it is somebody else's
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(handle, ctypes.byref(code))
        kernel.CloseHandle(handle)
        return code.value == 259  # STILL_ACTIVE
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _is_in_use(entry: os.DirEntry, prefix: str) -> bool:
    """Whether the process that made it lives; of another computer, or of older versions of Med3D, whether it is new."""
    owner = _OWNER.match(entry.name.removeprefix(prefix))
    if owner and owner[1] == _computer():
        return is_living(int(owner[2]))
    return time.time() - entry.stat(follow_symlinks=False).st_mtime < _FOREIGN_SECONDS


def _remove(entry: os.DirEntry) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)  # those of other users stay
    else:
        Path(entry.path).unlink()


@lru_cache
def _computer() -> str:
    """This computer, or this container, in which the same number is another process."""
    space = ""
    with suppress(OSError):
        space = str(Path("/proc/self/ns/pid").readlink())
    return f"{zlib.crc32(f'{platform.node()} {space}'.encode()):08x}"
