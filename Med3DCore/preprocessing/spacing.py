"""Which spacing a model works at, and the grid that follows from it.

Med3D resamples every volume of a domain to the domain's per-axis median spacing (paper section 3.1, Eq. 1); its LiTS
experiment uses the average instead. Eq. 2 as printed, ``s' = s / sp * sp_med``, is inverted: it would shrink what it
ought to enlarge. :func:`world_grid` uses the physical relation ``s' = s * sp / sp_med``, which keeps the extent in mm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Med3DCore.errors import SettingError
from Med3DCore.geometry import Geometry, Triple, triple

RULES = ("median", "average", "isotropic")


def domain_spacing(spacings: Sequence[Triple], rule: str = "median") -> Triple:
    """The spacing (x, y, z) in mm that all volumes of a domain are resampled to.

    Args:
        spacings: Spacing (x, y, z) in mm of every training volume of the domain, in patient axes.
        rule: ``"median"`` per axis (paper Eq. 1), ``"average"`` per axis (paper's LiTS experiment), or
            ``"isotropic"``: the geometric mean of the median spacing on all three axes (ours).

    Raises:
        SettingError: There are no volumes, or the rule is unknown.

    Examples:
        >>> domain_spacing([(1.0, 1.0, 2.0), (1.0, 1.0, 5.0), (3.0, 1.0, 5.0)])
        (1.0, 1.0, 5.0)
    """
    if len(spacings) == 0:
        raise SettingError("A domain needs at least one volume to find its spacing.")
    table = np.asarray(spacings, dtype=np.float64)
    if rule == "median":
        values = np.median(table, axis=0)
    elif rule == "average":
        values = table.mean(axis=0)
    elif rule == "isotropic":
        values = np.full(3, np.prod(np.median(table, axis=0)) ** (1 / 3))
    else:
        raise SettingError(f"Unknown spacing rule '{rule}'; known rules: {', '.join(RULES)}.")
    return triple(float(v) for v in values)


def spacing_of(geometry: Geometry) -> Triple:
    """Spacing in mm along the patient's x, y and z; exact when the grid's axes run along them in any order."""
    step = geometry.direction_matrix * np.asarray(geometry.spacing)
    return triple(float(v) for v in np.linalg.norm(step, axis=1))


def world_grid(geometry: Geometry, spacing: Triple, box: tuple[np.ndarray, np.ndarray] | None = None) -> Geometry:
    """A grid of the given spacing along the patient's own axes that covers a volume.

    The network therefore always sees the patient the same way round, however the voxels were stored.

    Args:
        geometry: The volume's own grid, in any orientation.
        spacing: Wanted spacing (x, y, z) in mm.
        box: Lowest and highest LPS mm to cover; may reach beyond the volume. None covers the volume.

    Returns:
        Axis-aligned geometry, centred on what it covers; at least one voxel along each axis.
    """
    low, high = geometry.bounds() if box is None else box
    size = np.maximum(1, np.rint((high - low) / spacing)).astype(int)
    origin = (low + high) / 2 - (size - 1) / 2 * np.asarray(spacing)
    return Geometry(triple(int(n) for n in size), triple(spacing), triple(float(v) for v in origin))
