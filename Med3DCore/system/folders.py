"""Folders with scans in them, which nobody else on the computer may read."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from Med3DCore.errors import OutputError

ANOTHER = "choose another one"


def make_private(folder: Path, ours: bool = False, cure: str = ANOTHER) -> None:
    """Make a folder, and those it lies in, for this user alone (0700). One that is there keeps its permissions.

    Args:
        folder: The folder.
        ours: Whether one that is there was made by Med3D, perhaps by a version that left it readable: it gets 0700.
        cure: What to do if that fails, as the end of a sentence.

    Raises:
        OutputError: It cannot be made.
    """
    try:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise NotADirectoryError(20, "a file has this name")
        if ours and folder.stat().st_mode & 0o077:
            with suppress(OSError):  # somebody else's, or on a disk without permissions
                folder.chmod(0o700)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be made ({error.strerror}); {cure}.") from None


def require_makeable(folder: Path, cure: str = ANOTHER) -> None:
    """Refuse, before the work whose results it is to hold, a folder that is not there and cannot be made or filled.

    Args:
        folder: The folder.
        cure: What to do, as the end of a sentence.

    Raises:
        OutputError: What would hold it is no folder, or may not be written to.
    """
    nearest = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        reason = f"you may not write to {nearest}; {cure}."
        raise OutputError(f"The folder {folder} cannot be {'filled' if folder.is_dir() else 'made'}: {reason}")
