"""A block of a scan around a point, along the patient's axes: what a classifier looks at."""

from __future__ import annotations

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry, Triple, triple
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.preprocessing.preprocessing import voxels_inside
from Med3DCore.preprocessing.resample import resample
from Med3DCore.preprocessing.spacing import world_grid
from Med3DCore.volume import Volume


def cut_block(
    volume: Volume,
    centre: Triple,
    spacing: Triple,
    shape: tuple[int, int, int],
    statistics: Statistics,
    headroom: float = 0.0,
) -> tuple[np.ndarray, Geometry]:
    """Resample the surroundings of a point, wherever the scan's own voxels lie.

    Args:
        volume: Any scan, in any orientation.
        centre: LPS mm; becomes the centre of the block.
        spacing: Wanted spacing (x, y, z) in mm.
        shape: Wanted shape (z, y, x).
        statistics: How the whole scan is normalised; values are clipped to its range, and beyond the scan is its floor.
        headroom: How far outside of that range values are kept.

    Returns:
        float32 ``[z, y, x]`` in the scan's units, and its grid along the patient's axes.
    """
    half = np.asarray(shape[::-1]) * np.asarray(spacing) / 2
    low, high = np.asarray(centre) - half, np.asarray(centre) + half
    grid = world_grid(volume.geometry, spacing, (low, high))
    near = _near(volume, low, high, 2 * max(*spacing, *volume.spacing))
    clip = (statistics.low - headroom, statistics.high + headroom)
    return resample(near.array, near.geometry, grid, clip, statistics.floor), grid


def scan_middle(volume: Volume) -> Triple:
    """The middle of a scan, LPS mm: the centre of what a classifier of whole scans looks at."""
    low, high = volume.geometry.bounds()
    return triple(((low + high) / 2).tolist())


def require_inside(volume: Volume, centre: Triple, what: str) -> None:
    """Refuse a point beyond the scan.

    Args:
        volume: The scan.
        centre: LPS mm.
        what: What to call the point, such as ``"Nodule 'a'"``.

    Raises:
        DataError: It is beyond; the sentence says if it would be inside as RAS.
    """
    if _is_inside(volume.geometry, centre):
        return
    x, y, z = centre
    hint = "check the table and the scan"
    if _is_inside(volume.geometry, (-x, -y, z)):
        hint = "as RAS it would be inside, so say that the space is RAS"
    raise DataError(f"{what}: the point ({x:g}, {y:g}, {z:g}) mm, LPS, lies outside of {volume.name}; {hint}.")


def _is_inside(geometry: Geometry, centre: Triple) -> bool:
    index = np.linalg.inv(geometry.index_to_physical) @ [*centre, 1.0]
    return bool(np.all(index[:3] >= -0.5) and np.all(index[:3] <= np.asarray(geometry.size) - 0.5))


def _near(volume: Volume, low: np.ndarray, high: np.ndarray, margin: float) -> Volume:
    """The part of a scan in a box of LPS mm and a margin around it, so that no more is resampled than is looked at."""
    start, stop = voxels_inside(volume.geometry, (low - margin, high + margin))
    part = tuple(slice(a, b) for a, b in zip(start[::-1], stop[::-1], strict=True))
    return Volume(volume.array[part], volume.geometry.crop(start, stop), volume.name)
