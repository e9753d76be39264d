"""Slices that a tilted gantry shifted against each other, put back over each other.

A gantry that leans takes slices which lie parallel, but each a little aside of the one before: a sheared grid. They are
shifted back within their own planes, which needs no more than a slice at a time. Nothing is cut off: the grid grows
by as much as they are shifted, and is air where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from Med3DCore.geometry import Geometry, triple

# mm that slices may lie aside for all that they are straight, and a share of the length: positions are rounded to 0.1.
_STRAIGHT_MM, _STRAIGHT = 0.1, 1e-3
# mm that slices may lie aside of the line of a tilt: positions are sometimes rounded to 1.
_ROUNDED_MM = 0.6
_LARGEST_DEGREES = 45.0
_AIR_HU = -1000
# Of a pixel: shifts that are not worth an interpolation.
_NO_SHIFT = 1e-3


@dataclass(frozen=True, eq=False)
class Tilt:
    """How slices are shifted against each other.

    Args:
        degrees: Between the normal of the slices and the way from one to the next, above 0.
        corner: float64 [2], pixels along x and y from the first slice's first pixel to that of the straight grid.
        shifts: float64 [n, 2], pixels along x and y, none below 0, from the straight grid's first to each slice's.
    """

    degrees: float
    corner: np.ndarray
    shifts: np.ndarray

    @property
    def growth(self) -> tuple[int, int]:
        """How many voxels more than a slice the straight grid has along x and y."""
        x, y = np.rint(self.shifts).astype(int).max(axis=0).tolist()
        return x, y

    def straight_grid(self, first: Geometry) -> Geometry:
        """The grid that holds all slices, from that on which they would lie if all lay over the first."""
        (x, y, z), (more_x, more_y) = first.size, self.growth
        origin = first.index_to_physical @ [*self.corner, 0.0, 1.0]
        return replace(first, size=(x + more_x, y + more_y, z), origin=triple(origin[:3].tolist()))

    def straightened(self, slices: Iterable[np.ndarray], is_ct: bool) -> Iterator[np.ndarray]:
        """The slices on the straight grid, interpolated linearly along x and y.

        Args:
            slices: ``[y, x]``, as many as there are shifts.
            is_ct: Whether negative values are Hounsfield units, of which air has -1000; otherwise the first slice's
                lowest value is put where nothing was measured.

        Returns:
            ``[y, x]`` of the same types, larger by ``growth``.
        """
        air: float | None = None
        for values, shift in zip(slices, self.shifts, strict=True):
            air = _air(values, is_ct) if air is None else air
            whole = np.rint(shift)
            moved = _moved(_moved(values, shift[0] - whole[0], axis=1), shift[1] - whole[1], axis=0)
            shape = [n + more for n, more in zip(values.shape, self.growth[::-1], strict=True)]
            straight = np.full(shape, air, values.dtype)
            straight[_window(whole, values.shape)] = moved
            yield straight

    def slanted(self, array: np.ndarray) -> np.ndarray:
        """A label map ``[slice, y, x]`` of the straight grid on the slices as they were taken, nearest neighbour."""
        shape = array.shape[1] - self.growth[1], array.shape[2] - self.growth[0]
        whole = np.rint(self.shifts)
        return np.stack([plane[_window(shift, shape)] for plane, shift in zip(array, whole, strict=True)])

    def laid_back(self, slices: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`slanted`: a label map ``[slice, y, x]`` of slices as they were taken, 0 beside them."""
        depth, rows, columns = slices.shape
        straight = np.zeros((depth, rows + self.growth[1], columns + self.growth[0]), slices.dtype)
        for plane, values, shift in zip(straight, slices, np.rint(self.shifts), strict=True):
            plane[_window(shift, values.shape)] = values
        return straight


def find_tilt(origins: np.ndarray, axes: np.ndarray, spacing: Sequence[float]) -> tuple[Tilt | None, str | None]:
    """How slices are shifted against each other.

    Args:
        origins: float64 [n, 3], LPS mm of their first pixels, in order, no two in one plane.
        axes: 3x3, its columns are the axes x, y and the normal.
        spacing: (x, y) mm of a pixel.

    Returns:
        The tilt, None if they lie over each other; and why they make no volume, as the end of a sentence, or None.
    """
    way = (origins - origins[0]) @ axes
    along, aside = way[:, 2], way[:, :2]
    straight = _STRAIGHT_MM + _STRAIGHT * along[-1]
    if np.linalg.norm(aside, axis=1).max() <= straight:
        return None, None
    slope, start = np.polyfit(along, aside, 1)
    line = start + np.outer(along, slope)
    degrees = float(np.degrees(np.arctan(np.linalg.norm(slope))))
    off = np.linalg.norm(aside - line, axis=1).max()
    if off > max(_ROUNDED_MM, straight):
        return None, f"has slices that do not lie over each other (up to {off:.3g} mm aside)"
    if degrees > _LARGEST_DEGREES:
        return None, f"has slices that lie beside each other ({degrees:.0f} degrees from upright), as no gantry tilts"
    if np.linalg.norm(slope) * along[-1] <= straight:  # shaken or rounded, but upright
        return None, None
    pixels = line / np.asarray(spacing)
    corner = pixels.min(axis=0)
    return Tilt(degrees, corner, pixels - corner), None


def _window(shift: np.ndarray, shape: Sequence[int]) -> tuple[slice, slice]:
    """Where a slice ``[y, x]`` lies in the straight grid."""
    x, y = (int(value) for value in shift)
    return slice(y, y + shape[0]), slice(x, x + shape[1])


def _moved(values: np.ndarray, part: float, axis: int) -> np.ndarray:
    """A slice shifted by a part of a pixel, -0.5 to 0.5, along an axis; its edge goes on beyond it."""
    if abs(part) < _NO_SHIFT:
        return values
    count = values.shape[axis]
    neighbours = values.take(np.clip(np.arange(count) - int(np.sign(part)), 0, count - 1), axis)
    moved = (1 - abs(part)) * values + abs(part) * neighbours
    return moved if values.dtype.kind == "f" else np.rint(moved).astype(values.dtype)


def _air(values: np.ndarray, is_ct: bool) -> float:
    lowest = float(values.min())
    if not is_ct or lowest >= 0:
        return lowest
    least = np.iinfo(values.dtype).min if values.dtype.kind in "iu" else -np.inf
    return max(min(lowest, _AIR_HU), float(least))
