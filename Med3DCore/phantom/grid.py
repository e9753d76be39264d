"""The grid of a scan: where its voxels lie, and how its axes are ordered."""

from __future__ import annotations

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry, triple
from Med3DCore.phantom.patient import Patient
from Med3DCore.phantom.settings import AXIS_OF, REGIONS, PhantomSettings
from Med3DCore.phantom.shapes import turned

_MARGIN = 12.0  # Air around the patient, mm.
_TABLE_DEPTH = 40.0  # Room behind the patient for the table, mm.
_MOST_VOXELS = 1_000_000_000
_ALONG = ((1, 1, -1), (1, -1, 1), (-1, 1, 1))  # Shapes of arrays along x, y and z.


def scan_grid(settings: PhantomSettings, patient: Patient) -> Geometry:
    """The grid whose axes run to the left, back and head of the patient, apart from an oblique turn.

    Raises:
        SettingError: It has more than a billion voxels.
    """
    low, high = _box(settings, patient)
    spacing = np.asarray(settings.spacing, dtype=float)
    size = np.maximum(np.ceil((high - low) / spacing - 1e-6), 1).astype(int)
    if size.prod() > _MOST_VOXELS:
        raise SettingError(
            f"The phantom would have {size.prod():,} voxels; choose a larger spacing or a smaller region."
        )
    direction = turned(*settings.oblique).T
    centre = low + size * spacing / 2
    origin = centre - direction @ ((size - 1) * spacing / 2)
    return Geometry(
        tuple(size.tolist()), tuple(spacing.tolist()), tuple(origin.tolist()), tuple(direction.ravel().tolist())
    )


def _box(settings: PhantomSettings, patient: Patient) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest LPS mm of the scan."""
    region = settings.region
    z_low, z_high = np.multiply(REGIONS[region], patient.scale) if isinstance(region, str) else region
    if settings.in_plane is not None:
        x_low, x_high, y_low, y_high = settings.in_plane
    else:
        half, front, back = patient.extent(z_low, z_high)
        x_low, x_high, y_low = -half - _MARGIN, half + _MARGIN, front - _MARGIN
        y_high = back + (_TABLE_DEPTH if settings.table else _MARGIN)
    return np.array([x_low, y_low, z_low]), np.array([x_high, y_high, z_high])


def positions(geometry: Geometry) -> list[np.ndarray]:
    """LPS x, y and z in mm of all voxel centres, float64, as arrays that broadcast to ``[z, y, x]``.

    For an axis-aligned grid they are shaped ``[1,1,x]``, ``[1,y,1]`` and ``[z,1,1]``.
    """
    matrix = geometry.index_to_physical
    indices = [np.arange(n, dtype=np.float64).reshape(shape) for n, shape in zip(geometry.size, _ALONG, strict=True)]
    if np.count_nonzero(matrix[:3, :3]) == 3:
        return [index * matrix[i, i] + matrix[i, 3] for i, index in enumerate(indices)]
    return [row[0] * indices[0] + row[1] * indices[1] + row[2] * indices[2] + row[3] for row in matrix[:3]]


def reordered(array: np.ndarray, geometry: Geometry, orientation: str) -> tuple[np.ndarray, Geometry]:
    """The same voxels with axes in another order and sense.

    Args:
        array: ``[z, y, x]`` on a grid whose axes run to L, P and S.
        geometry: Its grid.
        orientation: Three letters, the direction of each new axis.

    Returns:
        The array, contiguous, and its grid.
    """
    source = [AXIS_OF[letter] for letter in orientation]
    flip = [letter in "RAI" for letter in orientation]
    result = array.transpose([2 - axis for axis in reversed(source)])
    result = result[tuple(slice(None, None, -1 if flipped else 1) for flipped in reversed(flip))]
    matrix = geometry.index_to_physical
    corner = np.array([0.0, 0.0, 0.0, 1.0])
    for axis, flipped in zip(source, flip, strict=True):
        corner[axis] = (geometry.size[axis] - 1) * flipped
    direction = geometry.direction_matrix[:, source] * np.where(flip, -1.0, 1.0)
    return np.ascontiguousarray(result), Geometry(
        triple(geometry.size[axis] for axis in source),
        triple(geometry.spacing[axis] for axis in source),
        triple((matrix @ corner)[:3].tolist()),
        tuple(direction.ravel().tolist()),
    )
