"""Fluid that was counted as organ in a CT: ascites around a liver, an effusion of the pleura above it.

A network that must take livers full of dark tumours takes fluid beside them for liver, too. Seen as a whole, the two
differ: fluid lies along much of the border in a layer that is even and as dark as water, tumours are lumps.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from Med3DCore.geometry import Triple
from Med3DCore.inference.stage_result import StageResult
from Med3DCore.labels import Label
from Med3DCore.progress import Progress
from Med3DCore.volume import Volume

ORGANS = ("liver",)
"""Whose own values are even enough, and brighter than water."""

LEAST_COVERED = 0.12
"""Part of an organ's border that a layer covers at least. On six training patients painted with ascites it covered 0.18
to 0.48, on the same ones with lesions 0.05 or less (one of 12 cm 0.16, but thick), on 23 of 24 real scans 0.07 or less;
the other has an effusion."""

THICKEST_MM = 14.0
"""Of a layer on average. The ascites measured 5 to 6 mm, the effusion 12, the lesion of 12 cm 22."""

_LEAST_ML = 5.0
_MOST_OF_A_LUMP = 0.3  # of the border, twice what the lesion of 12 cm covers; what covers more is fluid, however thick
_MOST_OF_LUMPS = 0.5  # the same on grids coarser than _FINE_MM, where many dark lesions run together (0.34 was seen)
_FINE_MM = 3.0
_LEAST_MORE = 0.03  # of the border, where there is a layer elsewhere
_COARSEST_MM = 4.0  # a layer of fewer voxels is no layer; at 4 mm the same limits hold (docs/experiments.md)
_FLUID_HU = (-30.0, 35.0)
_DARKER_HU = 35.0  # than the middle of the organ
_BLUR_MM = 1.5
_DEEP_MM = 15.0  # where the organ's middle is
_RIM_MM = 6.0
_DEEPEST_MM = 20.0  # of what tells a layer from a lump
_DEEPER = 1.75  # than a layer's mean thickness it may reach, but at least _LEAST_DEPTH_MM
_LEAST_DEPTH_MM = 10.0
_CRUMB = 0.05  # of the organ


def leave_out_fluid(name: str, last: StageResult | None, volume: Volume) -> float:
    """Leave out, in place, layers of fluid that a stage took for an organ in a CT.

    Args:
        name: Of the label; only of those in :data:`ORGANS`.
        last: Of the stage that the result is from.
        volume: The scan, in HU.

    Returns:
        How much was left out, in mL.
    """
    if last is None or name not in ORGANS or max(last.grid.spacing) > _COARSEST_MM:
        return 0.0
    seen = last.inside(volume.geometry)
    score = last.scores[name][seen]
    inside = score > 0.5
    if not inside.any():
        return 0.0
    fluid = fluid_in(inside, last.values(volume)[seen], last.grid.spacing)
    score[fluid] = 0.0
    count = int(np.count_nonzero(fluid))
    last.found[name] -= count  # or it would be taken for a part of the organ that lies apart
    return count * last.grid.voxel_volume_ml


def warn_of_fluid(label: Label, ml: float, progress: Progress) -> None:
    """Tell what was left out, if it is no trifle."""
    if ml >= _LEAST_ML:
        sentence = f"{label.title}: {ml:.0f} mL along it are as dark as water and were left out; check its border."
        progress.warn(sentence, label.name, "fluid")


def fluid_in(inside: np.ndarray, values: np.ndarray, spacing: Triple) -> np.ndarray:
    """Layers of fluid along the border of what was taken for an organ, and what they part from it.

    Args:
        inside: bool ``[z, y, x]``, the organ and perhaps fluid; not empty.
        values: HU, same shape; all of it inside the scan.
        spacing: Size (x, y, z) of a voxel in mm.

    Returns:
        bool of the same shape, a part of ``inside``.
    """
    mm = np.asarray(spacing[::-1], float)
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    organ, found = inside[box], np.zeros_like(inside)
    smooth = ndimage.gaussian_filter(np.clip(values[box], -200, 300).astype(np.float32), _BLUR_MM / mm)
    depth = ndimage.distance_transform_edt(np.pad(organ, 1), sampling=mm)[1:-1, 1:-1, 1:-1]
    middle = float(np.median(smooth[depth > min(_DEEP_MM, 0.7 * float(depth.max()))]))
    low, high = _FLUID_HU
    watery = organ & (smooth > low) & (smooth < min(high, middle - _DARKER_HU))
    layers = _layers(watery, depth, mm)
    if layers.any():
        reach = depth <= max(_LEAST_DEPTH_MM, _DEEPER * _thickness(layers, depth, mm))  # deeper are dark lesions
        fluid = ndimage.binary_propagation(layers & reach, mask=watery & reach)
        halfway = (middle + float(np.median(smooth[layers]))) / 2  # where fluid and organ share a voxel
        fluid = ndimage.binary_dilation(fluid, mask=organ & reach & (smooth < halfway), iterations=2)
        found[box] = organ & ~_main_pieces(organ & ~fluid)
    return found


def _main_pieces(organ: np.ndarray) -> np.ndarray:
    """Without the crumbs that fluid parts from it."""
    parts, _ = ndimage.label(organ)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return (sizes > _CRUMB * sizes.sum())[parts]


def _thickness(layer: np.ndarray, depth: np.ndarray, mm: np.ndarray) -> float:
    """Of a layer along the border, on average, in mm."""
    outermost = (depth > 0) & (depth <= 1.01 * mm.max())
    volume, area = int(np.count_nonzero(layer)), int(np.count_nonzero(layer & outermost))
    return volume / max(1, area) * float(mm.mean())


def _layers(watery: np.ndarray, depth: np.ndarray, mm: np.ndarray) -> np.ndarray:
    """What lies along the border and is thin, if one of it covers much of the border."""
    outermost = (depth > 0) & (depth <= 1.01 * mm.max())  # air and fat share these voxels: they are dark everywhere
    rim = (depth > 1.01 * mm.max()) & (depth <= _RIM_MM)
    shallow = watery & (depth < _DEEPEST_MM)
    parts, count = ndimage.label(ndimage.binary_propagation(shallow & (outermost | rim), mask=shallow))
    covered = ndimage.sum_labels(rim, parts, np.arange(1, count + 1)) / max(1, np.count_nonzero(rim))
    most_of_a_lump = _MOST_OF_A_LUMP if mm.max() <= _FINE_MM else _MOST_OF_LUMPS
    layers = {
        int(number): float(covered[number - 1])
        for number in np.flatnonzero(covered >= _LEAST_MORE) + 1
        if covered[number - 1] > most_of_a_lump or _thickness(parts == number, depth, mm) <= THICKEST_MM
    }
    return np.isin(parts, list(layers) if max(layers.values(), default=0.0) >= LEAST_COVERED else [])
