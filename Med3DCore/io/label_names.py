"""A label for any name that a file or a person may give."""

from __future__ import annotations

import colorsys
import re

from Med3DCore.tasks import LABELS, Code, Label

# What Slicer calls a segment that nobody gave a meaning to.
TISSUE: Code = ("SCT", "85756007", "Tissue")


def label_for(title: str, position: int) -> Label:
    """Med3D's own label of that name or title, else a new one without a special meaning.

    Args:
        title: Such as ``"liver"``, ``"Left lung"`` or ``"lesion 3"``.
        position: Its place among the labels of its file, from 0; gives a new label its colour.
    """
    name = slug(title)
    if name in LABELS:
        return LABELS[name]
    # Steps of the golden ratio keep neighbours' hues far apart however many there are.
    rgb = colorsys.hsv_to_rgb((0.1 + 0.618034 * position) % 1.0, 0.55, 0.9)
    return Label(name, title, tuple(round(255 * channel) for channel in rgb), TISSUE, TISSUE)


def slug(title: str) -> str:
    """A title as a name for commands and files: ``"Left lung"`` is ``"left_lung"``."""
    return re.sub(r"\W+", "_", title.strip().lower()).strip("_") or "segment"
