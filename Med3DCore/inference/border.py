"""What lies at the border of an organ in a CT: fluid that may be counted as organ, and organ that may be left out.

A coarse and a close look that make the same mistake agree, and then their agreement does not tell it. The scan's own
values do: a liver in ascites is found with a rim of fluid, and beside one that is found in part lies much that is as
bright as it. Limits and figures are in docs/experiments.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from Med3DCore.geometry import Triple
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.preprocessing import resample
from Med3DCore.preprocessing.preprocessing import voxels_inside
from Med3DCore.volume import Volume

ORGANS = ("liver",)
"""Whose values are even enough for this."""

MOST_DARK, MOST_ALIKE = 0.28, 0.10
"""More is doubted. On six training patients painted with disease, and eighteen real scans, results with fluid in them
had 0.35 or more of it and all others 0.24 or less; incomplete ones below a Dice of 0.90 had 0.11 beside them or more,
and good ones 0.09 or less."""

_BLUR_MM = 1.5
_DEEP_MM = 15.0
_RIM_MM = (2.5, 7.5)
_BESIDE_MM = (3.0, 15.0)
_DARKER_HU, _ALIKE_HU = 40.0, 15.0


@dataclass(frozen=True)
class Border:
    """Two shares, from 0 on.

    Args:
        dark: Of the organ's rim, 2.5 to 7.5 mm deep, what is darker than its middle by 40 HU or more.
        alike: Of the organ's volume, as much lies 3 to 15 mm beside it and is as bright as its middle, within 15 HU.
    """

    dark: float
    alike: float


def look_at_border(name: str, last: StageResult, volume: Volume) -> Border | None:
    """What lies at the border of a label that a stage found in a CT; None for labels not in :data:`ORGANS`.

    Args:
        name: Of the label.
        last: What the stage found.
        volume: The scan, in HU; what the stage saw beyond it is left out.
    """
    if name not in ORGANS:
        return None
    start, stop = voxels_inside(last.grid, volume.geometry.bounds())
    seen = tuple(slice(start[i], stop[i]) for i in (2, 1, 0))
    inside = last.scores[name][seen] > 0.5
    if not inside.any():
        return None
    return measure_border(inside, resample(volume.array, volume.geometry, last.grid)[seen], last.grid.spacing)


def measure_border(inside: np.ndarray, values: np.ndarray, spacing: Triple) -> Border:
    """Measure the border of an organ.

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
    rim = (depth > _RIM_MM[0]) & (depth <= _RIM_MM[1])
    beside = (away > _BESIDE_MM[0]) & (away < _BESIDE_MM[1])
    is_dark = smooth[rim] < middle - _DARKER_HU
    is_alike = np.abs(smooth[beside] - middle) < _ALIKE_HU
    return Border(float(is_dark.mean()) if is_dark.size else 0.0, float(is_alike.sum() / inside.sum()))


def _box_around(inside: np.ndarray, mm: np.ndarray) -> tuple[slice, ...]:
    """Where the organ is, and all that counts as beside it."""
    room = np.ceil(_BESIDE_MM[1] / mm).astype(int) + 1
    found = ndimage.find_objects(inside.astype(np.uint8))[0]
    return tuple(slice(max(0, part.start - more), part.stop + more) for part, more in zip(found, room, strict=True))
