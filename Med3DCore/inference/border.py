"""What lies beside an organ in a CT and is as bright as it: much of it where only a part of the organ was found.

A coarse and a close look that miss the same part agree, and then their agreement does not tell it; the scan's values
do. Fluid counted as liver was not told well enough by what is dark in its rim: docs/experiments.md has the figures.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from Med3DCore.geometry import Triple
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.volume import Volume

ORGANS = ("liver",)
"""Whose values are even enough for this."""

MOST_ALIKE = 0.10
"""More is doubted. On six training patients painted with disease, livers found in part, with a Dice below 0.90, had
0.11 or more (five of six), and good ones 0.09 or less, as had eighteen real scans."""

_BLUR_MM = 1.5
_DEEP_MM = 15.0
_BESIDE_MM = (3.0, 15.0)
_ALIKE_HU = 15.0


def alike_beside_label(name: str, last: StageResult, volume: Volume) -> float | None:
    """:func:`alike_beside` of a label that a stage found in a CT; None for labels not in :data:`ORGANS`.

    Args:
        name: Of the label.
        last: What the stage found.
        volume: The scan, in HU; what the stage saw beyond it is left out.
    """
    if name not in ORGANS:
        return None
    seen = last.inside(volume.geometry)
    inside = last.scores[name][seen] > 0.5
    if not inside.any():
        return None
    return alike_beside(inside, last.values(volume)[seen], last.grid.spacing)


def alike_beside(inside: np.ndarray, values: np.ndarray, spacing: Triple) -> float:
    """How much lies 3 to 15 mm beside an organ and is as bright as its middle, within 15 HU, as a part of its volume.

    Args:
        inside: bool ``[z, y, x]``, the organ; not empty.
        values: HU, same shape.
        spacing: Size (x, y, z) of a voxel in mm.
    """
    mm = np.asarray(spacing[::-1], float)
    box = _box_around(inside, mm)
    inside, values = inside[box], np.clip(values[box], -200, 300).astype(np.float32)
    smooth = ndimage.gaussian_filter(values, _BLUR_MM / mm)
    depth, away = (ndimage.distance_transform_edt(part, sampling=mm) for part in (inside, ~inside))
    middle = float(np.median(values[depth > min(_DEEP_MM, 0.7 * float(depth.max()))]))
    beside = smooth[(away > _BESIDE_MM[0]) & (away < _BESIDE_MM[1])]
    return float((np.abs(beside - middle) < _ALIKE_HU).sum() / inside.sum())


def _box_around(inside: np.ndarray, mm: np.ndarray) -> tuple[slice, ...]:
    """Where the organ is, and all that counts as beside it."""
    room = np.ceil(_BESIDE_MM[1] / mm).astype(int) + 1
    found = ndimage.find_objects(inside.astype(np.uint8))[0]
    return tuple(slice(max(0, part.start - more), part.stop + more) for part, more in zip(found, room, strict=True))
