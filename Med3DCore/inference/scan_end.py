"""Organs that are cut by the end of what was measured."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from Med3DCore.labels import Label
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap


def touched_ends(labels: LabelMap, name: str) -> Iterator[tuple[int, int]]:
    """The ends of the array that a label reaches, each as an axis (0=z, 1=y, 2=x) and 0 or -1."""
    value = labels.value(name)
    for axis in range(3):
        for end in (0, -1):
            if value in np.take(labels.array, end, axis=axis):
                yield axis, end


def end_at_padding(labels: LabelMap, padding: np.ndarray) -> set[str]:
    """Take labels away, in place, where nothing was measured.

    Args:
        labels: What was found.
        padding: Where nothing was measured, bool of the same shape.

    Returns:
        Names of the labels that reached it.
    """
    reached = np.bincount(labels.array[padding], minlength=len(labels.labels) + 1) > 0
    labels.array[padding] = 0
    for axis in range(3):
        array, beside = np.moveaxis(labels.array, axis, 0), np.moveaxis(padding, axis, 0)
        for found, nothing in ((array[1:], beside[:-1]), (array[:-1], beside[1:])):
            reached |= np.bincount(found[nothing], minlength=len(reached)) > 0
    return {label.name for value, label in enumerate(labels.labels, start=1) if reached[value]}


def warn_of_cut(label: Label, by: str, progress: Progress) -> None:
    """Tell that a label is cut by the edge of the scan, or of whatever was looked at."""
    sentence = f"{label.title}: cut by the edge of the {by}; the volume is that of the part inside."
    progress.warn(sentence, label.name, "cut")
