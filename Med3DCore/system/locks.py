"""One process at a time: a lock file that the system itself releases when its process ends, in whatever way.

The file says who holds it. It is deleted when it is released; what a killed process left is free, and taken over.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from Med3DCore.errors import Med3DError, OutputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD = {errno.EACCES, errno.EAGAIN, errno.EDEADLK}
_SECONDS_BETWEEN_TRIES = 0.05
# Windows lets nobody read what is locked: a byte far behind what the file says.
_LOCKED_BYTE = 1 << 30


class InUse(Med3DError):
    """Another process works on the same thing."""

    code = "in-use"


@contextmanager
def locked(path: Path, taken: str, cure: str, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock while the block runs. Threads keep each other out, too, and a thread keeps out itself.

    Where the file system cannot lock, the block runs all the same.

    Args:
        path: The lock file, in a folder that exists.
        taken: What to say if it is held, such as ``"Another training runs in runs/a"``; who holds it is added.
        cure: What to do then.
        patience: Seconds to wait for it.

    Raises:
        InUse: It is held by another process.
        OutputError: The file cannot be made.
    """
    until = time.monotonic() + patience
    while (file := _take(path)) is None:
        if time.monotonic() >= until:
            raise InUse(f"{taken} ({_holder(path)}); {cure}.")
        time.sleep(_SECONDS_BETWEEN_TRIES)
    try:
        yield
    finally:
        _release(file, path)


def require_free(path: Path, taken: str, cure: str) -> None:
    """Refuse at once what :func:`locked` would refuse later.

    Raises:
        InUse: The lock is held.
    """
    if path.exists():
        with locked(path, taken, cure):
            pass


def _take(path: Path) -> int | None:
    """The open lock file, locked; None if another process holds it."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}; choose a folder that is yours.") from None
        if not _lock(file):
            os.close(file)
            return None
        if _is_still(file, path):
            here = {"pid": os.getpid(), "computer": platform.node(), "since": time.strftime("%Y-%m-%d %H:%M")}
            with suppress(OSError):  # it locks on a full disk, too, and just does not say for whom
                os.ftruncate(file, 0)
                os.write(file, json.dumps(here).encode())
            return file
        os.close(file)  # who held it deleted it meanwhile


def _lock(file: int) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            os.lseek(file, 0, os.SEEK_SET)
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD
    return True


def _is_still(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except OSError:
        return False


def _release(file: int, path: Path) -> None:
    if sys.platform == "win32":  # which deletes nothing that is open; who has it open by now keeps it
        os.close(file)
        with suppress(OSError):
            path.unlink()
    else:
        if _is_still(file, path):
            with suppress(OSError):
                path.unlink()
        os.close(file)


def _holder(path: Path) -> str:
    """Who holds a lock, as far as the file says it."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        place = "" if values["computer"] == platform.node() else f" on {values['computer']}"
        return f"process {values['pid']}{place}, since {values['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it does not say which process"
