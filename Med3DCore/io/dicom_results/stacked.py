"""Label maps on the slices of a series stacked as they come, as 3D Slicer and ITK read one with a tilt or a gap.

They put slice upon slice in even steps from the first one's place; only a transform beside the volume says that slices
lie aside of each other, or that one is missing. The slices themselves are those of the series.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom.series import Series
from Med3DCore.volume import LabelMap

# mm and cosines by which a place may differ: positions are written with few decimals.
_SAME_MM, _SAME_COSINE = 0.05, 1e-3


def is_stack_of(geometry: Geometry, series: Series) -> bool:
    """Whether a grid is the slices of a series as they come, upwards or downwards; of one that lies on a grid never."""
    if not (series.tilt or series.missing) or geometry.size != (*series.images[0].size, series.slices):
        return False
    axes, spacing = series.geometry.direction_matrix, series.images[0].spacing
    same_plane = np.abs(geometry.direction_matrix[:, :2] - axes[:, :2]).max() < _SAME_COSINE
    first = series.images[0 if _is_upward(geometry, series) else -1].position
    return bool(
        same_plane
        and np.abs(np.array(geometry.spacing[:2]) - spacing).max() < _SAME_MM / max(geometry.size)
        and first is not None
        and np.abs(first - geometry.origin).max() < _SAME_MM
        and abs(abs(geometry.direction_matrix[:, 2] @ axes[:, 2]) - 1) < _SAME_COSINE
    )


def unstacked(labels: LabelMap, series: Series) -> LabelMap:
    """A label map on such a stack on the grid of the series, each slice where it was taken, missing ones empty."""
    slices = labels.array if _is_upward(labels.geometry, series) else labels.array[::-1]
    slices = slices if series.tilt is None else series.tilt.laid_back(slices)
    whole = np.zeros(series.geometry.shape, np.uint8)
    whole[np.setdiff1d(np.arange(len(whole)), series.missing)] = slices
    return replace(labels, array=whole, geometry=series.geometry)


def _is_upward(geometry: Geometry, series: Series) -> bool:
    return bool(geometry.direction_matrix[:, 2] @ series.geometry.direction_matrix[:, 2] > 0)
