"""A label map in every position of the patient, for tests of DICOM results."""

from __future__ import annotations

import numpy as np

from Med3DCore.geometry import Geometry
from Med3DCore.labels import find_labels
from Med3DCore.volume import LabelMap

SHAPE = (9, 24, 30)
LABELS = find_labels(["liver", "left_lung"])
TILT = np.cos(0.3), np.sin(0.3)
POSITIONS = {  # columns: how rows, columns and slices run in the patient
    "axial": ((1, 0, 0), (0, 1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1)),
    "coronal": ((1, 0, 0), (0, 0, -1)),
    "prone": ((-1, 0, 0), (0, -1, 0)),
    "feet first": ((-1, 0, 0), (0, 1, 0)),
    "oblique": ((TILT[0], TILT[1], 0), (-TILT[1] * 0.8, TILT[0] * 0.8, 0.6)),
}


def grid(position: str = "axial", shape: tuple[int, int, int] = SHAPE) -> Geometry:
    rows, columns = (np.array(axis, float) / np.linalg.norm(axis) for axis in POSITIONS[position])
    matrix = np.stack([rows, columns, np.cross(rows, columns)], axis=1)
    return Geometry(shape[::-1], (0.8, 0.9, 2.5), (-20.5, 13.25, 101.0), tuple(matrix.ravel().tolist()))


def drawing() -> np.ndarray:
    """Nothing symmetric: an organ with a hole that has an island, a piece that touches at a corner, another organ."""
    array = np.zeros(SHAPE, np.uint8)
    array[2:7, 4:18, 5:20] = 1
    array[3:6, 7:13, 8:15] = 0
    array[4, 9:11, 10:12] = 1
    array[2:4, 18:20, 20:23] = 1
    array[5:9, 1:3, 22:29] = 2
    return array


def on_grid(read: LabelMap, place: Geometry) -> np.ndarray:
    """Label map on a part of a grid, or turned, on all of it."""
    return LabelMap(read.array, read.geometry, "read", ()).sampled(place, 0, nearest=True)
