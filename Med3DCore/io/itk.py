"""Calling SimpleITK without its chatter and its C++ sentences."""

from __future__ import annotations

import errno
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# The error stream belongs to the whole process, so only one thread at a time may turn it aside.
_STDERR = threading.RLock()

# What the system said last about something else: ITK quotes it where it knows no reason of its own.
_LEFT_OVER = (os.strerror(errno.ENOTTY), os.strerror(0))


@contextmanager
def captured() -> Iterator[Callable[[], str]]:
    """Catches what ITK, GDCM and the libraries below them print on the error stream.

    Besides the clutter there is a need: for a damaged MetaImage printing is all that they do.

    Yields:
        A function that gives the text printed so far.
    """
    import SimpleITK as sitk

    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    with _STDERR:
        try:
            saved = os.dup(2)
        except OSError:  # a Windows program without a console has no error stream
            yield lambda: ""
            return
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)

            def text() -> str:
                file.seek(0)
                return file.read().decode("utf-8", "replace")

            try:
                yield text
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
