"""CT volumes whose own grid holds voxels that no scanner measured: padding.

A volume that was turned onto another grid is a tilted box in a box of one constant value, and a body wider than the
field of view ends in a circle of it. What ends there looks to a network like the surface of the body, as at the edge
of a scan, and is cured in the same way: what was measured goes on for :data:`.preprocessing.EDGE_MM`.

Padding is told from air, which clipping makes constant, too, by what it touches: between skin and air there is always
a voxel or two of both, while padding ends sharply.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from Med3DCore.preprocessing.preprocessing import EDGE_MM, Box
from Med3DCore.volume import Volume

# Hounsfield units of what a scanner stores for air, and the least of what is certainly body.
_AIR = (-1100, -900)
_TISSUE = -300
# Padding is looked for on about this grid, and then put on the scan's own.
_SPACING_MM = 2.5
# Of the rows of voxels that are looked at, as many must go from air straight into tissue.
_MIN_SHARE = 0.02
_ROWS = 64
# On the coarser grid. Connected voxels that share a value by chance, in noise, are some dozens.
_LEAST_VOXELS = 500
# Of the voxels, each so many-th along each axis tells how far the measured ones reach.
_STEP = 4


@dataclass(frozen=True, eq=False)
class Seen:
    """A scan as networks see it.

    Args:
        volume: On the scan's own grid.
        padding: Where nothing was measured, bool ``[z, y, x]``; None if there is no padding.
    """

    volume: Volume
    padding: np.ndarray | None = None

    def bounds(self) -> Box:
        """Lowest and highest LPS mm of what was measured: of a turned volume much less than its grid covers."""
        thin = (slice(None, None, _STEP),) * 3
        if self.padding is None or self.padding[thin].all():  # the latter for a few slices in much padding
            return self.volume.geometry.bounds()
        measured = np.argwhere(~self.padding[thin])[:, ::-1] * _STEP
        to_world = self.volume.geometry.index_to_physical
        points = measured @ to_world[:3, :3].T + to_world[:3, 3]
        reach = _STEP * max(self.volume.spacing)
        return points.min(axis=0) - reach, points.max(axis=0) + reach


def continue_into_padding(volume: Volume) -> Seen:
    """What was measured, continued for 20 mm into the padding.

    Args:
        volume: A CT in Hounsfield units.

    Returns:
        Voxels that are not padding are the same. Padding of a value that is not air's is air from 20 mm on. Without
        padding the same volume.
    """
    steps = [max(1, int(_SPACING_MM / spacing)) for spacing in reversed(volume.spacing)]
    small = volume.array[tuple(slice(None, None, step) for step in steps)]
    value, padding = _find(volume.array, small)
    if padding is None:
        return Seen(volume)
    sampling = [step * spacing for step, spacing in zip(steps, reversed(volume.spacing), strict=True)]
    distance, nearest = ndimage.distance_transform_edt(padding, sampling, return_indices=True)
    filled = small[tuple(nearest)]
    goes_on = distance <= EDGE_MM
    if _AIR[0] <= value <= _AIR[1]:  # air between the body and the padding is the same, and no skin goes on there
        goes_on &= filled > _TISSUE
    filled[~goes_on] = min(value, volume.array.min()) if value > _AIR[1] else value
    return _filled(volume, value, filled, ndimage.binary_dilation(padding), steps)


def _find(array: np.ndarray, small: np.ndarray) -> tuple[float, np.ndarray | None]:
    """The value of the padding and where it is on the coarser grid; None if there is none."""
    last = [max(1, n - 1) for n in array.shape]
    values, counts = np.unique(array[:: last[0], :: last[1], :: last[2]], return_counts=True)
    for value, count in sorted(zip(values, counts, strict=True), key=lambda each: (each[0] <= _AIR[1], -each[1])):
        if value > _AIR[1] or (count >= 4 and _ends_in_tissue(array, value)):
            padding = small == value
            if np.count_nonzero(padding) >= _LEAST_VOXELS:
                padding = _large_at_the_edge(padding)
                if padding.any() and not padding.all():
                    return value, padding
    return 0.0, None


def _ends_in_tissue(array: np.ndarray, value: float) -> bool:
    """Whether air goes straight into tissue in more than a few of evenly spread rows, along any axis."""
    for axis in range(3):
        rows = np.moveaxis(array, axis, -1)
        rows = rows[:: max(1, rows.shape[0] // _ROWS), :: max(1, rows.shape[1] // _ROWS)]
        empty, tissue = rows == value, rows > _TISSUE
        meets = (empty[..., 1:] & tissue[..., :-1]) | (empty[..., :-1] & tissue[..., 1:])
        if meets.any(axis=-1).mean() > _MIN_SHARE:
            return True
    return False


def _large_at_the_edge(mask: np.ndarray) -> np.ndarray:
    """Those connected parts of a mask that reach an end of the volume, without what noise makes."""
    parts, _ = ndimage.label(mask)
    ends = [np.take(parts, end, axis=axis).ravel() for axis in range(3) for end in (0, -1)]
    reached = np.unique(np.concatenate(ends))
    sizes = np.bincount(parts.ravel())
    return np.isin(parts, reached[(reached > 0) & (sizes[reached] >= _LEAST_VOXELS)])


def _filled(volume: Volume, value: float, filled: np.ndarray, near: np.ndarray, steps: list[int]) -> Seen:
    """The volume with what was found on a coarser grid in its padding."""
    array, padding = volume.array.copy(), np.zeros(volume.array.shape, bool)
    z, y, x = (
        np.minimum((np.arange(n) + step // 2) // step, m - 1)
        for n, step, m in zip(array.shape, steps, near.shape, strict=True)
    )
    for i, plane in enumerate(array):
        padding[i] = near[z[i]][np.ix_(y, x)] & (plane == value)
        plane[padding[i]] = filled[z[i]][np.ix_(y, x)][padding[i]]
    return Seen(replace(volume, array=array), padding)
