"""Resampling as nnU-Net does it, as one small matrix an axis.

nnU-Net (2.8) resamples with ``skimage.transform.resize(mode="edge", anti_aliasing=False)``: cubic splines for images,
linear for logits. Voxels are cells: n of them become m over the same extent. Where one axis has more than three times
the spacing of another, that axis is resampled by itself, by the nearest slice. Splines are linear in the voxels, so a
spline along an axis is a matrix, and its rows fade so fast that some twenty entries matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import ndimage

ANISOTROPY = 3.0
"""Spacings that differ by more are resampled slice by slice."""

# Entries of a spline's row that are smaller change no value by more than 1e-5 of the range.
_FADED = 1e-6


def new_size(size: int, spacing: float, wanted: float) -> int:
    """Voxels of an axis after resampling; halves round to even, as Python's ``round``."""
    return max(1, round(spacing / wanted * size))


def lone_axis(
    current: Sequence[float], wanted: Sequence[float], separate: bool | None, threshold: float = ANISOTROPY
) -> int | None:
    """The axis that is resampled by itself, because voxels are so much longer along it; None if there is none.

    Args:
        current: Spacings of the array's axes.
        wanted: Those after resampling.
        separate: True or False to say so; None decides by the spacings.
        threshold: Of the largest spacing by the smallest.
    """
    if separate is False:
        return None
    for spacing in (current,) if separate else (current, wanted):
        if separate or max(spacing) / min(spacing) > threshold:
            longest = [axis for axis, value in enumerate(spacing) if value == max(spacing)]
            return longest[0] if len(longest) == 1 else None
    return None


@lru_cache(maxsize=16)
def weights(size: int, wanted: int, order: int) -> np.ndarray:
    """Float32 ``[wanted, size]``: each row gives a voxel of the result from those of the axis.

    Args:
        size: Voxels of the axis.
        wanted: Voxels after resampling.
        order: 0 takes the nearest voxel, 1 is linear, 3 a cubic spline.
    """
    if size == wanted:
        return np.eye(size, dtype=np.float32)
    if order < 3:
        return neighbours(size, wanted, order).matrix(size)
    matrix = ndimage.zoom(np.eye(size), (wanted / size, 1), order=order, mode="nearest", grid_mode=True)
    matrix[np.abs(matrix) < _FADED] = 0.0
    return matrix.astype(np.float32)


@dataclass(frozen=True, eq=False)
class Neighbours:
    """For each voxel of the result the two that it lies between: ``(1 - part) * low + part * high``."""

    low: np.ndarray
    high: np.ndarray
    part: np.ndarray

    def matrix(self, size: int) -> np.ndarray:
        """Float32 ``[wanted, size]``: each row gives a voxel of the result from those of the axis."""
        matrix, rows = np.zeros((len(self.low), size), np.float32), np.arange(len(self.low))
        np.add.at(matrix, (rows, self.low), 1 - self.part)
        np.add.at(matrix, (rows, self.high), self.part)
        return matrix


def neighbours(size: int, wanted: int, order: int) -> Neighbours:
    """Linear (order 1) or nearest (order 0) resampling of an axis of ``size`` voxels to ``wanted``."""
    return between((np.arange(wanted) + 0.5) * (size / wanted) - 0.5, size, order)


def between(places: np.ndarray, size: int, order: int = 1) -> Neighbours:
    """The voxels of an axis of ``size`` between which some places lie, counted in voxels; the outermost go on."""
    place = np.clip(places, 0, size - 1)
    if order == 0:
        nearest = np.minimum(np.floor(place + 0.5).astype(np.intp), size - 1)
        return Neighbours(nearest, nearest, np.zeros(len(place), np.float32))
    low = np.minimum(np.floor(place).astype(np.intp), max(0, size - 2))
    return Neighbours(low, np.minimum(low + 1, size - 1), (place - low).astype(np.float32))
