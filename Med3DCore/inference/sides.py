"""Left and right lung from both as one: which voxel belongs to which, in the patient's own left and right.

Where the lungs are apart their pieces decide. Where they touch, in front of the heart or behind it, only a membrane of
one or two millimetres lies between them: a watershed from the cores of both lungs meets there, since on its way the
membrane is brighter than lung and the bridge is thinner than the lungs.
"""

from __future__ import annotations

import numpy as np

from Med3DCore.geometry import Geometry, triple
from Med3DCore.inference.postprocessing import distance_to, numbered_pieces
from Med3DCore.labels import LABELS
from Med3DCore.preprocessing import resample
from Med3DCore.preprocessing.preprocessing import blocks_inside
from Med3DCore.preprocessing.spacing import world_grid
from Med3DCore.progress import Progress
from Med3DCore.system.threads import in_threads
from Med3DCore.volume import LabelMap, Volume

SIDES = ("left_lung", "right_lung")

# Finer would find no better place to cut: models work at 2.5 mm.
_SPACING_MM = 2.5
# Two lungs have their centres about half the width of both apart, the lobes of one have not.
_LEAST_GAP = 0.25
# Pieces smaller than this share of all are not asked whether they are a lung.
_LEAST_PIECE = 0.01
# How much of a lung may lie beyond the middle between both.
_MOST_BEYOND = 0.15
# The membrane is about 100 HU brighter than lung at this spacing; a lung is some centimetres thick.
_HU_PER_MM = 20.0
# A scan that ends in the middle of the body shows so much more tissue at that end than at the other.
_CUT_BODY = 0.25
_TISSUE_HU = -200
_BODY_SPACING_MM = 8.0


def split_lungs(labels: LabelMap, scan: Volume, progress: Progress | None = None, are_known: bool = True) -> LabelMap:
    """Give each lung a label of its own, in place of the label "lungs"; together they are the same voxels.

    Args:
        labels: Any labels; without "lungs" they stay as they are.
        scan: The CT, on any grid around the labels'. Tells where the membrane between the lungs is and, if there is
            but one lung, which one.
        progress: May cancel, and is told which lung is missing.
        are_known: Whether left and right are what the scan's description says; if not, "lungs" stays whole.

    Returns:
        "left_lung" and "right_lung" in the place of "lungs"; the values of later labels grow by one.

    Raises:
        Cancelled: The user stopped.
    """
    if "lungs" not in (label.name for label in labels.labels):
        return labels
    progress = progress or Progress()
    if not are_known:
        progress.warn(
            "Left and right lung were not told apart, since the scan may not lie as its header says.", "lungs", "sides"
        )
        return labels
    value = labels.value("lungs")
    numbers = np.arange(256, dtype=np.uint8)
    numbers[value + 1 :] += 1
    result = LabelMap(
        numbers[labels.array],
        labels.geometry,
        labels.name,
        (*labels.labels[: value - 1], *(LABELS[side] for side in SIDES), *labels.labels[value:]),
    )
    with progress.stage("split lungs", share=0.03):
        box = _voxel_box(labels.array == value)
        if box is None:
            return result
        _paint_right(result, value, *_right_of(labels, value, box, scan, progress), progress)
    for side in SIDES:
        if not result.mask(side).any():
            progress.warn(f"No {LABELS[side].title.lower()} found in {labels.name}.", side, "missing")
    return result


def _voxel_box(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """The smallest part ``[z, y, x]`` of an array that holds all of a mask, or None."""
    found = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return triple(slice(int(f[0]), int(f[-1]) + 1) for f in found) if len(found[0]) else None


def _right_of(
    labels: LabelMap, value: int, box: tuple[slice, slice, slice], scan: Volume, progress: Progress
) -> tuple[np.ndarray, Geometry]:
    """A map that is 1 on the right lung's side and 0 on the left one's, everywhere on a grid around both."""
    import SimpleITK as sitk

    native = labels.geometry.crop(*(tuple(getattr(box[a], end) for a in (2, 1, 0)) for end in ("start", "stop")))
    low, high = native.bounds()
    grid = world_grid(native, (_SPACING_MM,) * 3, (low - 2 * _SPACING_MM, high + 2 * _SPACING_MM))
    share = resample((labels.array[box] == value).view(np.uint8), native, grid)
    inside = share > 0.5 * share.max()
    progress.check()
    depth = distance_to(~inside, grid)
    cores = _cores(depth, grid, *_tissue_by_x(scan, grid))
    progress.check()
    if not (cores == 1).any() or not (cores == 2).any():
        return np.full(grid.shape, cores.max() == 2, np.float32), grid
    hu = resample(scan.array, scan.geometry, grid, (-1000.0, 0.0), -1000.0)
    levels = hu / _HU_PER_MM - depth
    levels[~inside] = levels.max() + 1  # flooded last: beyond the lungs, the nearest side
    sides = sitk.MorphologicalWatershedFromMarkers(
        sitk.GetImageFromArray(levels), sitk.GetImageFromArray(cores), markWatershedLine=False
    )
    return (sitk.GetArrayFromImage(sides) == 2).astype(np.float32), grid


def _tissue_by_x(scan: Volume, lungs: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """From right to left through the whole scan, in the lungs' slices: x in mm, and the share that is no air."""
    low, high = scan.geometry.bounds()
    low[2], high[2] = (end[2] for end in lungs.bounds())
    grid = world_grid(scan.geometry, (_BODY_SPACING_MM,) * 3, (low, high))
    hu = resample(scan.array, scan.geometry, grid, (-1000.0, 0.0), -1000.0)
    return _x_of(grid), (hu > _TISSUE_HU).mean(axis=(0, 1))


def _x_of(grid: Geometry) -> np.ndarray:
    return grid.origin[0] + grid.spacing[0] * np.arange(grid.size[0])


def _cores(depth: np.ndarray, grid: Geometry, x_body: np.ndarray, tissue: np.ndarray) -> np.ndarray:
    """What surely belongs to each lung, uint8 ``[z, y, x]``: 1 left, 2 right; of a single lung all of it.

    Both are worn away from outside until no piece is left that hangs together across the middle.

    Args:
        depth: mm ``[z, y, x]`` to the next voxel that is no lung.
        grid: Its grid, along the patient's axes.
        x_body: See :func:`_tissue_by_x`.
        tissue: The same.
    """
    x = _x_of(grid)
    middle = x_body @ tissue / tissue.sum() if tissue.any() else x.mean()
    columns = np.count_nonzero(depth > 0, axis=(0, 1))
    width = np.ptp(x[columns > 0]) + grid.spacing[0]
    for least in np.arange(0, depth.max(), _SPACING_MM):
        pieces = numbered_pieces(depth > least)
        counts = np.stack([np.bincount(part.ravel(), minlength=pieces.max() + 1) for part in pieces.transpose(2, 0, 1)])
        counts[:, 0] = 0
        large = counts.sum(axis=0) >= _LEAST_PIECE * counts.sum()
        cut = _gap_between(counts[:, large], x, middle, _LEAST_GAP * width)
        if cut is not None:
            right = x @ counts / np.maximum(counts.sum(axis=0), 1) < cut
            return np.where(large, 1 + right, 0).astype(np.uint8)[pieces]
    if abs(tissue[-1] - tissue[0]) > _CUT_BODY:  # half a body: its middle is where the scan ends
        middle = x_body[-1 if tissue[-1] > tissue[0] else 0]
    return np.where(depth > 0, np.uint8(1 if columns @ x > middle * columns.sum() else 2), np.uint8(0))


def _gap_between(counts: np.ndarray, x: np.ndarray, middle: float, least: float) -> float | None:
    """x in mm that leaves each piece almost wholly on one side, if these pieces are two lungs, and not one, nor joined.

    Args:
        counts: Voxels ``[x, piece]``.
        x: In mm.
        middle: About the patient's, in mm.
        least: How far apart the centres of the pieces on both sides must be, in mm.
    """
    centres = x @ counts / counts.sum(axis=0)
    if not centres.min() < middle < centres.max():
        return None
    ends = centres[centres < middle].max(), centres[centres >= middle].min()
    cut = sum(ends) / 2
    beyond = [
        counts[side][:, pieces].sum() / counts[:, pieces].sum()
        for side, pieces in ((x >= cut, centres < cut), (x < cut, centres >= cut))
    ]
    return cut if ends[1] - ends[0] >= least and max(beyond) <= _MOST_BEYOND else None


def _paint_right(result: LabelMap, value: int, right: np.ndarray, grid: Geometry, progress: Progress) -> None:
    """Turn, in place, ``value`` into ``value + 1`` where the right lung is."""

    def paint(block: tuple[tuple[slice, slice, slice], Geometry]) -> None:
        progress.check()
        place, target = block
        part = result.array[place]
        part[(part == value) & (resample(right, grid, target) > 0.5)] += np.uint8(1)

    in_threads(paint, blocks_inside(result.geometry, grid))
