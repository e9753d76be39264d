"""Smooth random functions of position that make one patient differ from the next.

A field is drawn once on a coarse periodic lattice and interpolated linearly, so that its value depends on the place in
the patient alone and not on the grid that asks for it.
"""

from __future__ import annotations

import zlib

import numpy as np
from scipy import ndimage


def stream(seed: int, topic: str) -> np.random.Generator:
    """An independent generator for one topic of one patient, so that changing one topic leaves the others alone."""
    return np.random.default_rng([seed, zlib.crc32(topic.encode())])


class SmoothField:
    """A random scalar function of position with mean 0 and standard deviation 1.

    Args:
        rng: Source of the lattice values.
        cell_mm: Distance between lattice points; details are about twice as large.
        cells: Lattice points along each axis; the field repeats after ``cells * cell_mm``.
    """

    def __init__(self, rng: np.random.Generator, cell_mm: float, cells: int) -> None:
        values = ndimage.gaussian_filter(rng.standard_normal((cells,) * 3, dtype=np.float32), 0.8, mode="wrap")
        values -= values.mean()
        self._values = values / values.std()
        self._cell = cell_mm

    def __call__(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        """Values at the points (mm) that the arrays span by broadcasting; float32.

        Coordinates shaped ``[1,1,x]``, ``[1,y,1]``, ``[z,1,1]`` are interpolated one axis after the other, which is
        many times faster than point by point.
        """
        axes = [np.asarray(axis) / self._cell for axis in (z, y, x)]
        if all(axis.size == axis.shape[i] for i, axis in enumerate(axes) if axis.ndim == 3) and axes[0].ndim == 3:
            values = self._values
            for i, axis in enumerate(axes):
                values = _lerp(values, axis.ravel(), i)
            return values
        return ndimage.map_coordinates(
            self._values, np.broadcast_arrays(*axes), order=1, mode="grid-wrap", output=np.float32
        )


def _lerp(values: np.ndarray, position: np.ndarray, axis: int) -> np.ndarray:
    """Periodic linear interpolation of ``values`` along one axis at positions counted in lattice points."""
    cells = values.shape[axis]
    low = np.floor(position).astype(np.int64)
    fraction = (position - low).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
    first, second = values.take(low % cells, axis), values.take((low + 1) % cells, axis)
    second -= first
    second *= fraction
    second += first
    return second
