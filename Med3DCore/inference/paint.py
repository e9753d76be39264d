"""Bring the scores of several labels back to the scan's own grid, as one label map."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Med3DCore.geometry import Geometry
from Med3DCore.preprocessing import resample
from Med3DCore.preprocessing.preprocessing import blocks_inside
from Med3DCore.progress import Progress
from Med3DCore.system.threads import in_threads


def paint_labels(
    scores: Sequence[tuple[np.ndarray, Geometry] | None], native: Geometry, progress: Progress
) -> np.ndarray:
    """A label map of what lies inside; where labels meet, the surer one wins, and the first one among equals.

    Args:
        scores: For the values 1, 2, ... a float32 map ``[z, y, x]``, inside where above 0.5, and its grid; None where
            there is nothing.
        native: The scan's own grid.
        progress: Followed, and may cancel.

    Returns:
        uint8 ``[z, y, x]`` on the native grid.
    """
    array = np.zeros(native.shape, np.uint8)
    sureness = np.zeros(native.shape, np.uint8) if len(scores) > 1 else None
    for value, found in enumerate(scores, start=1):
        progress.update((value - 1) / len(scores))
        if found is not None:
            _paint(array, sureness, value, *found, native, progress)
    return array


def _paint(
    array: np.ndarray,
    sureness: np.ndarray | None,
    value: int,
    score: np.ndarray,
    grid: Geometry,
    native: Geometry,
    progress: Progress,
) -> None:
    """Write one label, and how sure it is in steps of 1/255, where it is surer than those before."""

    def paint(block: tuple[tuple[slice, slice, slice], Geometry]) -> None:
        progress.check()
        place, target = block
        values = resample(score, grid, target)
        inside = values > 0.5
        if sureness is not None:
            values *= 255
            steps = np.rint(values, out=values).astype(np.uint8)
            inside &= steps > sureness[place]
            np.copyto(sureness[place], steps, where=inside)
        np.copyto(array[place], np.uint8(value), where=inside)

    in_threads(paint, blocks_inside(native, grid))
