"""The label file of a case on the grid of its image."""

from __future__ import annotations

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_label_map
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.volume import LabelMap


def read_label(case: Case, geometry: Geometry, progress: Progress | None = None) -> np.ndarray:
    """The values of a case's label file on the grid of its image.

    Args:
        case: The case; must have a label file.
        geometry: The grid of the image.
        progress: Takes warnings. Without it, they are Python's.

    Returns:
        uint8 ``[z, y, x]``.

    Raises:
        DataError: They do not lie on the same grid, or there are values that nobody described.
        VolumeError: The file cannot be read.
    """
    label = read_label_map(case.label, progress=progress)
    if label.geometry.is_close(geometry, tolerance_mm=0.1):
        array = label.array
    else:
        array = _pasted(label, geometry) if case.label.name.lower().endswith(".seg.nrrd") else None
    if array is None:
        raise DataError(
            f"Case '{case.name}': image and label do not lie on the same grid; resample one onto the other.",
            code="label-grid",
        )
    label_volumes(case, array, geometry.voxel_volume_ml)
    return array


def label_volumes(case: Case, array: np.ndarray, voxel_ml: float = 1.0) -> dict[str, float]:
    """How much of each of a case's labels its label file holds, in mL (or voxels).

    Args:
        case: The case.
        array: uint8 values of the label file.
        voxel_ml: Volume of a voxel.

    Raises:
        DataError: There are values that nobody described.
    """
    counts = sum(np.bincount(plane.ravel(), minlength=256) for plane in array)
    strange = set(np.flatnonzero(counts).tolist()) - case.known_values()
    if strange:
        raise DataError(
            f"Case '{case.name}': the label has values {sorted(strange)} that nobody described.", code="label-values"
        )
    return {name: float(counts[np.atleast_1d(values)].sum()) * voxel_ml for name, values in case.values.items()}


def _pasted(label: LabelMap, geometry: Geometry) -> np.ndarray | None:
    """A label map on a part of a grid, on all of it; None if its voxels are not voxels of the grid.

    3D Slicer saves a segmentation cut to its segments, which may also reach beyond the scan.
    """
    matrix = np.linalg.inv(geometry.index_to_physical) @ label.geometry.index_to_physical
    start = np.rint(matrix[:3, 3]).astype(int)
    if not np.allclose(matrix[:3, :3], np.eye(3), atol=1e-3) or np.abs(matrix[:3, 3] - start).max() > 0.05:
        return None
    here, there = [], []
    for first, count, room in zip(start[::-1], label.array.shape, geometry.shape, strict=True):
        low, high = max(first, 0), min(first + count, room)
        here.append(slice(low, max(low, high)))
        there.append(slice(low - first, max(low, high) - first))
    array = np.zeros(geometry.shape, np.uint8)
    array[tuple(here)] = label.array[tuple(there)]
    return array
