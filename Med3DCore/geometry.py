"""Where the voxels of a grid lie in the patient.

Physical coordinates are millimetres in the LPS system (x to the left, y to the back, z to the head) as in
DICOM, ITK and SimpleITK. Sizes, spacings and origins are in ``(x, y, z)`` order, arrays in ``[z, y, x]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

Value = TypeVar("Value")
Triple = tuple[float, float, float]
IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def triple(values: Iterable[Value]) -> tuple[Value, Value, Value]:
    """Three values, one an axis, as a tuple.

    Raises:
        ValueError: They are fewer or more than three.
    """
    x, y, z = values
    return x, y, z


@dataclass(frozen=True)
class Geometry:
    """The grid of a volume.

    Args:
        size: Number of voxels along the array's x, y and z axis.
        spacing: Distance between voxel centres in mm, same order.
        origin: LPS position in mm of the centre of voxel (0, 0, 0).
        direction: Row-major 3x3 matrix whose columns are the unit vectors of the array's x, y and z axis in LPS
            (SimpleITK's order). May be left-handed.
    """

    size: tuple[int, int, int]
    spacing: Triple = (1.0, 1.0, 1.0)
    origin: Triple = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = IDENTITY

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape ``(z, y, x)``."""
        return self.size[::-1]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def direction_matrix(self) -> np.ndarray:
        """The 3x3 float64 direction matrix; its columns are the axes."""
        return np.asarray(self.direction, dtype=np.float64).reshape(3, 3)

    @property
    def index_to_physical(self) -> np.ndarray:
        """4x4 float64 matrix from a voxel index (x, y, z, 1) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction_matrix * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    def is_axis_aligned(self, tolerance: float = 1e-4) -> bool:
        """Whether every axis runs along a patient axis, in any order and sign."""
        absolute = np.abs(self.direction_matrix)
        return bool(np.all((absolute < tolerance) | (absolute > 1 - tolerance)))

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest LPS mm of the grid's box, voxel borders included; two float64 arrays of 3."""
        corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=np.float64)
        return self._bounds_of(corners * np.asarray(self.size) - 0.5)

    def bounds_of_box(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Like :meth:`bounds`, for the voxels from ``start`` (included) to ``stop`` (excluded), both (x, y, z)."""
        box = np.array([start, stop], dtype=np.float64) - 0.5
        corners = np.array([[box[i, 0], box[j, 1], box[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
        return self._bounds_of(corners)

    def _bounds_of(self, index_corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        matrix = self.index_to_physical
        points = index_corners @ matrix[:3, :3].T + matrix[:3, 3]
        return points.min(axis=0), points.max(axis=0)

    def crop(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Geometry:
        """The grid of the voxels from ``start`` (included) to ``stop`` (excluded), both (x, y, z) indices."""
        origin = self.index_to_physical @ np.array([*start, 1.0])
        size = triple(int(b - a) for a, b in zip(start, stop, strict=True))
        return Geometry(size, self.spacing, triple(float(v) for v in origin[:3]), self.direction)

    def is_close(self, other: Geometry, tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids have the same size and no voxel centre lies further apart than the tolerance."""
        if self.size != other.size:
            return False
        corners = np.array([[x, y, z, 1.0] for x in (0, 1) for y in (0, 1) for z in (0, 1)])
        corners[:, :3] *= np.asarray(self.size) - 1
        difference = corners @ (self.index_to_physical - other.index_to_physical).T
        return bool(np.abs(difference).max() <= tolerance_mm)
