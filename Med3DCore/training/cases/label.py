"""The label file of a case on the grid of its image."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry, triple
from Med3DCore.io import read_label_map
from Med3DCore.io.files import may_be_cropped
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.volume import LabelMap


def read_label(
    case: Case, geometry: Geometry, progress: Progress | None = None, names: Collection[str] | None = None
) -> LabelMap:
    """A case's label file on the grid of its image; :meth:`.Case.inside` tells where a label is.

    Args:
        case: The case; must have a label file.
        geometry: The grid of the image.
        progress: Takes warnings. Without it, they are Python's.
        names: The labels that are needed, by default all that are annotated; others in files of their own stay unread.

    Raises:
        DataError: They do not lie on the same grid, or there are values that nobody described.
        VolumeError: The file cannot be read.
    """
    label = _read(case, geometry, progress, names)
    if not label.geometry.is_close(geometry, tolerance_mm=0.1):
        label = _stored_like(label, geometry) or label
    if not label.geometry.is_close(geometry, tolerance_mm=0.1):
        array = _pasted(label, geometry) if may_be_cropped(_file_of(case)) else None
        if array is None:
            raise _not_on_the_image(case, label.geometry, geometry)
        label = replace(label, array=array, geometry=geometry)
    label_volumes(case, label, geometry.voxel_volume_ml)
    return label


def labels_in(case: Case) -> set[str]:
    """The annotated labels of which a case's label file holds a voxel; reads it.

    Raises:
        DataError: There are values that nobody described.
        VolumeError: The file cannot be read.
    """
    if case.label is None:
        return set()
    voxels = label_volumes(case, _read(case, None, Progress()))
    return {name for name in case.annotated if voxels.get(name)}


def _read(
    case: Case, grid: Geometry | None, progress: Progress | None = None, names: Collection[str] | None = None
) -> LabelMap:
    needed = [name for name in (case.annotated if names is None else names) if name in case.values]
    path = _file_of(case)
    return read_label_map(path, needed if path.is_dir() else None, progress, grid)


def _file_of(case: Case) -> Path:
    if case.label is None:
        raise DataError(f"Case '{case.name}' has no label file.")
    return case.label


def _not_on_the_image(case: Case, label: Geometry, image: Geometry) -> DataError:
    """Why a label cannot be used: as many voxels as the image has, elsewhere, are those of a label without header."""
    if label.size in (image.size, image.size[::-1]):
        return DataError(
            f"Case '{case.name}': the label {case.label} has the {' x '.join(map(str, label.size))} voxels of its "
            "image but lies elsewhere: it has lost its header; copy the image's with "
            f"med3d dataset copy-header {shlex.quote(str(case.image))} {shlex.quote(str(case.label))}",
            code="label-header",
        )
    return DataError(
        f"Case '{case.name}': image and label do not lie on the same grid; resample the label onto the image (nearest "
        "neighbour), or take the image that it was drawn on.",
        code="label-grid",
    )


def label_volumes(case: Case, label: LabelMap, voxel_ml: float = 1.0) -> dict[str, float]:
    """How much of each of a case's labels its label file holds, in mL (or voxels).

    Args:
        case: The case.
        label: Its label file.
        voxel_ml: Volume of a voxel.

    Raises:
        DataError: There are values that nobody described.
    """
    counts = np.zeros(256, np.int64)
    for plane in label.array:
        counts += np.bincount(plane.ravel(), minlength=256)
    found = {member for value in np.flatnonzero(counts).tolist() for member in label.members(value)}
    if strange := found - case.known_values():
        raise DataError(
            f"Case '{case.name}': the label has values {sorted(strange)} that nobody described.", code="label-values"
        )
    return {name: float(counts[list(case.values_in(label, name))].sum()) * voxel_ml for name in case.values}


def _stored_like(label: LabelMap, geometry: Geometry) -> LabelMap | None:
    """A label map with its axes in the order and sense of another grid, as one stored RAS for an image in LPS.

    Nothing moves in the patient. None if its axes are not those of the grid.
    """
    steps = np.linalg.inv(geometry.index_to_physical) @ label.geometry.index_to_physical
    whole = np.rint(steps[:3, :3]).astype(int)
    if np.abs(steps[:3, :3] - whole).max() > 1e-3 or not (np.abs(whole).sum(axis=0) == 1).all():
        return None
    order = np.abs(whole).argmax(axis=1)  # of each axis x, y, z of the grid the label's axis
    if sorted(order) != [0, 1, 2]:
        return None
    backwards = [whole[axis, source] < 0 for axis, source in enumerate(order)]
    array = label.array.transpose([2 - order[2 - axis] for axis in range(3)])
    array = np.flip(array, tuple(2 - axis for axis in range(3) if backwards[axis]))
    size = triple(label.geometry.size[source] for source in order)
    last = [label.geometry.size[axis] - 1 for axis in range(3)]
    first = [last[axis] if whole[:, axis].sum() < 0 else 0 for axis in range(3)]
    origin = triple(float(v) for v in (label.geometry.index_to_physical @ [*first, 1])[:3])
    return replace(
        label, array=np.ascontiguousarray(array), geometry=Geometry(size, geometry.spacing, origin, geometry.direction)
    )


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
