"""Bring a prediction and its reference onto one grid, in physical space."""

from __future__ import annotations

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.evaluation.surface import bounding_box
from Med3DCore.geometry import Geometry
from Med3DCore.volume import Volume

# No label map uses it, so it marks what the prediction does not cover.
_OUTSIDE = int(np.iinfo(np.int16).min)


def on_one_grid(
    prediction: Volume, reference: Volume, ignore_value: int | None = None, background_beyond: bool = False
) -> tuple[np.ndarray, np.ndarray, Geometry, list[str]]:
    """The labels of both at the voxels of the reference; the prediction's by nearest neighbour, 0 where it ends.

    Equal grids are passed on untouched. Others are matched by where they lie in the patient, never by index, so a
    volume that was stored flipped, permuted or cropped is compared at the right place.

    Args:
        prediction: Label map of whole numbers.
        reference: Label map whose grid is wanted.
        ignore_value: Value of the reference that means unknown, so that nobody misses it if it is not covered.
        background_beyond: See :func:`.report.evaluate`.

    Returns:
        Two arrays ``[z, y, x]``, their grid, and sentences about what to know.

    Raises:
        DataError: The volumes do not overlap in space.
    """
    if prediction.geometry.is_close(reference.geometry):
        return prediction.array, reference.array, reference.geometry, []
    _require_overlap(_boxes_meet(prediction.geometry, reference.geometry), prediction, reference)
    warnings, source, goal = [], f"The prediction {prediction.name}", f"the reference {reference.name}"
    start, stop = _reach(prediction, reference.geometry)
    size = reference.geometry.size
    beyond = min(start) < 0 or any(b > n for b, n in zip(stop, size, strict=True))
    if beyond and background_beyond:
        reference = _widened(reference, np.minimum(start, 0), np.maximum(stop, size))
    elif beyond:
        warnings.append(f"{source} reaches beyond the grid of {goal}; what lies there is not judged.")
    if not _share_voxels(prediction.geometry, reference.geometry):
        warnings.append(f"{source} was resampled (nearest neighbour) onto the grid of {goal}.")
    signed = prediction.array.astype(np.result_type(prediction.array.dtype, np.int16))
    array = prediction.with_array(signed).sampled(reference.geometry, _OUTSIDE, nearest=True)
    outside = array == _OUTSIDE
    _require_overlap(not outside.all(), prediction, reference)
    array[outside] = 0
    labelled = reference.array != 0
    if ignore_value is not None:
        labelled &= reference.array != ignore_value
    if missed := np.count_nonzero(labelled & outside):
        percent = 100 * missed / np.count_nonzero(labelled)
        warnings.append(
            f"{source} ends before {goal} does: {percent:.1f} % of the labelled voxels lie outside "
            "of it and count as missed."
        )
    return array, reference.array, reference.geometry, warnings


def _require_overlap(overlap: bool, prediction: Volume, reference: Volume) -> None:
    if not overlap:
        raise DataError(
            f"The prediction {prediction.name} and the reference {reference.name} do not overlap in space; check that "
            "they belong to the same scan and that neither lost its position."
        )


def _boxes_meet(a: Geometry, b: Geometry) -> bool:
    (a_low, a_high), (b_low, b_high) = a.bounds(), b.bounds()
    return bool(np.all(a_low < b_high) and np.all(b_low < a_high))


def _reach(volume: Volume, grid: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """First and last + 1 index (x, y, z) of ``grid`` needed to hold the labelled voxels; may lie outside of it."""
    box = bounding_box(volume.array != 0)[::-1]
    if box[0].start == box[0].stop:
        return np.zeros(3, int), np.zeros(3, int)
    ends = [(side.start, side.stop - 1) for side in box]
    corners = np.array([[x, y, z, 1.0] for x in ends[0] for y in ends[1] for z in ends[2]])
    to_grid = np.linalg.inv(grid.index_to_physical) @ volume.geometry.index_to_physical
    indices = np.rint(corners @ to_grid.T)[:, :3].astype(int)
    return indices.min(axis=0), indices.max(axis=0) + 1


def _widened(volume: Volume, start: np.ndarray, stop: np.ndarray) -> Volume:
    """The volume on a larger grid, 0 where it was not."""
    before, after = -start, stop - volume.geometry.size
    array = np.pad(volume.array, list(zip(before[::-1], after[::-1], strict=True)))
    return Volume(array, volume.geometry.crop(tuple(start), tuple(stop)), volume.name)


def _share_voxels(a: Geometry, b: Geometry) -> bool:
    """Whether both grids are parts of one lattice in any storage order, so that nothing is lost between them."""
    step = np.linalg.inv(a.index_to_physical) @ b.index_to_physical
    return bool(np.abs(step - np.rint(step)).max() < 1e-3 and np.isclose(abs(np.linalg.det(step)), 1))
