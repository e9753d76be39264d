"""Calling SimpleITK without its chatter and its C++ sentences."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# The error stream belongs to the whole process, so only one thread at a time may turn it aside.
_STDERR = threading.RLock()

# What the system said last about something else: ITK quotes it where it knows no reason of its own.
_LEFT_OVER = (os.strerror(errno.ENOTTY), os.strerror(0))


@contextmanager
def captured() -> Iterator[None]:
    """Catches what ITK, GDCM and the libraries below them print on the error stream."""
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with _STDERR:
        try:
            saved = os.dup(2)
        except OSError:  # a Windows program without a console has no error stream
            yield
            return
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(saved, 2)
                os.close(saved)


def short_reason(error: Exception) -> str:
    """The last line of an ITK error, where the cause is, without source files, addresses and brackets."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    reason = re.sub(r"^(sitk::ERROR:|ITK ERROR:|Reason:|\[nrrd\])\s*", "", lines[-1])
    reason = re.sub(r"^\w+(\(0x[0-9a-fA-F]+\))?:\s*", "", reason)
    if reason in _LEFT_OVER:
        reason = "its header makes no sense"
    return reason.rstrip(" .!")[:160]
