"""Is a body built as its header says? Exchanged axes and a spacing that is not the scan's show in its proportions.

Scans end in the middle of the body above and below, with air beside it, and a chest is wider than deep: a header that
names the axes in another order turns this round. Voxels that are said to be smaller than they are make a body that no
adult has. How often that is right is in docs/decisions.md, measured by Testing/benchmarks/proportions.py.
"""

from __future__ import annotations

import numpy as np

# Of the largest cross-section: by how much more both ends of another axis show than both ends of z; and less is enough
# where one end of z shows so little that there is air beyond it.
_CUT_MORE, _FREE, _CUT_MORE_IF_FREE = 0.35, 0.25, 0.2
# A body may be so much deeper than wide. Where an end shows more of it than this, its sides are cut, and may be.
_DEEPER, _CUT = 1.05, 0.6
# mm, the least width of an adult's chest; the least share of it that is lung, in HU; and how much that is no air is on
# the outer voxels of a scan that was not cut out of a larger one.
_NARROW_MM = 180.0
_LUNG, _TISSUE, _LUNG_SHARE, _CUT_OUT = (-950.0, -500.0), -400.0, 0.15, 0.4
# Voxels along an axis that are looked at.
_SAMPLES = 64


def axes_look_exchanged(body: np.ndarray) -> bool:
    """Whether a trunk seems to be stored along other axes than its header says.

    Args:
        body: HU ``[z, y, x]`` along the patient's axes, -1000 beyond the body, cut to its box.
    """
    inside = body > -1000.0
    seen = [_seen_at_ends(inside, axis) for axis in range(3)]
    above = min(seen[0])
    limit = _CUT_MORE_IF_FREE if above < _FREE else _CUT_MORE
    if max(min(ends) for ends in seen[1:]) - above > limit:
        return True
    return max(seen[2]) < _CUT and body.shape[1] > _DEEPER * body.shape[2]


def narrow_chest(body: np.ndarray, spacing_mm: float, array: np.ndarray) -> float | None:
    """The larger of width and depth in mm of a chest that is no adult's; None of any other, and of what is no chest.

    Args:
        body: As of :func:`axes_look_exchanged`.
        spacing_mm: Of its voxels.
        array: The scan, HU, by which a chest is told from a head or a leg.
    """
    width = max(body.shape[1:]) * spacing_mm
    thin = array[tuple(slice(None, None, 1 + n // _SAMPLES) for n in array.shape)]
    beside = np.concatenate([thin[:, :, [0, -1]].ravel(), thin[:, [0, -1]].ravel()])
    if width >= _NARROW_MM or np.mean(beside > _LUNG[0]) > _CUT_OUT:
        return None
    lung = np.count_nonzero((thin > _LUNG[0]) & (thin < _LUNG[1]))
    return width if lung > _LUNG_SHARE * (lung + np.count_nonzero(thin > _TISSUE)) else None


def _seen_at_ends(inside: np.ndarray, axis: int) -> tuple[float, float]:
    """How much of the body's largest cross-section its two ends along an axis show; the last voxel may be half air."""
    areas = inside.sum(axis=tuple(other for other in range(3) if other != axis))
    return float(areas[:2].max() / areas.max()), float(areas[-2:].max() / areas.max())
