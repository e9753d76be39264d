"""Where a warning about an image goes."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from Med3DCore.progress import Progress


def warner(progress: Progress | None) -> Callable[[str], None]:
    """To the job's progress, or to Python's warnings."""
    return progress.warn if progress is not None else lambda sentence: warnings.warn(sentence, stacklevel=3)
