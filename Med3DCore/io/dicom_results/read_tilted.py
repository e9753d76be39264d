"""A DICOM SEG whose frames lie aside of each other, as on the slices of a tilted gantry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.geometry import Geometry, triple
from Med3DCore.io.dicom.tilt import find_tilt
from Med3DCore.io.overlay import Overlay

if TYPE_CHECKING:
    from highdicom.seg import Segmentation
    from pydicom import Dataset

# Of a voxel: how far a frame may lie from a slice of the grid.
_SAME_SLICE = 0.1


def tilted_segments(
    path: Path, made: Segmentation, numbers: Sequence[int], grid: Geometry | None
) -> tuple[Overlay, Geometry]:
    """The segments as values 1, 2, ... on a straight grid, nearest neighbour.

    Args:
        path: The file.
        made: The SEG.
        numbers: Its segments' numbers.
        grid: Of the scan; None takes one from the frames.

    Raises:
        ValueError: The frames lie on no such grid.
    """
    places, frames = _places(made), made.get_stored_frames()
    grid = grid or _grid_of(made, places)
    overlay = Overlay(grid.shape, len(numbers), str(path))
    voxels = (places - grid.origin) @ grid.direction_matrix / grid.spacing
    if np.abs(voxels[:, 2] - np.rint(voxels[:, 2])).max() > _SAME_SLICE:
        raise ValueError("its frames lie between the slices of the scan")
    for frame, at, values in zip(
        made.PerFrameFunctionalGroupsSequence, np.rint(voxels).astype(int), frames, strict=True
    ):
        marked = _positions(made, frame, values, numbers)
        window, part = _common(at, marked.shape, grid)
        if part is not None:
            overlay.lay(marked[part][None], window)
    return overlay, grid


def _common(
    at: np.ndarray, shape: tuple[int, ...], grid: Geometry
) -> tuple[tuple[slice, slice, slice], tuple[slice, slice] | None]:
    """Where a frame and the grid have voxels in common, in each; None if they have none."""
    starts, ends = np.maximum(at[:2], 0), np.minimum(at[:2] + shape[::-1], grid.size[:2])
    x, y = (slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True))
    part = slice(y.start - at[1], y.stop - at[1]), slice(x.start - at[0], x.stop - at[0])
    there = 0 <= at[2] < grid.size[2] and bool((ends > starts).all())
    return (slice(int(at[2]), int(at[2]) + 1), y, x), part if there else None


def _positions(made: Segmentation, frame: Dataset, values: np.ndarray, numbers: Sequence[int]) -> np.ndarray:
    """What a frame marks, uint8 ``[y, x]``, by the positions 1, 2, ... of the segments."""
    if made.segmentation_type.value == "LABELMAP":
        table = np.zeros(max(int(values.max()), *numbers) + 1, np.uint8)
        table[list(numbers)] = np.arange(1, len(numbers) + 1)
        return table[values]
    least = made.MaximumFractionalValue / 2 if made.segmentation_type.value == "FRACTIONAL" else 1
    number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
    return (values >= least) * np.uint8(1 + list(numbers).index(number))


def _places(made: Segmentation) -> np.ndarray:
    """LPS mm of each frame's first pixel, ``[n, 3]``."""
    frames = made.PerFrameFunctionalGroupsSequence
    return np.array([frame.PlanePositionSequence[0].ImagePositionPatient for frame in frames], np.float64)


def _grid_of(made: Segmentation, places: np.ndarray) -> Geometry:
    """A straight grid that holds all frames."""
    shared = made.SharedFunctionalGroupsSequence[0]
    rows, columns = np.reshape(np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, np.float64), (2, 3))
    measures = shared.PixelMeasuresSequence[0]
    y, x = (float(value) for value in measures.PixelSpacing)
    axes = np.stack([rows, columns, np.cross(rows, columns)], axis=1)
    heights = np.round(places @ axes[:, 2], 3)
    _, firsts = np.unique(heights, return_index=True)
    origins = places[firsts]
    if len(origins) < 2:
        raise ValueError("its frames make no volume")
    z = float(np.diff(heights[firsts]).min())
    first = Geometry(
        (int(made.Columns), int(made.Rows), 1 + round(float(np.ptp(heights)) / z)),
        (x, y, z),
        triple(origins[0].tolist()),
        tuple(axes.ravel().tolist()),
    )
    tilt, problem = find_tilt(origins, axes, (x, y))
    if problem:
        raise ValueError(f"it {problem}")
    return tilt.straight_grid(first) if tilt else first
