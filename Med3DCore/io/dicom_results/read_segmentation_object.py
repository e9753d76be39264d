"""A DICOM SEG, read by highdicom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom_results.codes import code_of
from Med3DCore.io.dicom_results.read_tilted import tilted_segments
from Med3DCore.io.label_names import described_label, distinct
from Med3DCore.io.overlay import Overlay
from Med3DCore.labels import Label
from Med3DCore.volume import LabelMap

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription


def read_segmentation_object(path: Path, grid: Geometry | None = None) -> LabelMap:
    """The segments of a SEG, binary, fractional or a label map, as the labels 1, 2, ... in the order of its segments.

    A fractional segment is what is at least half. Where segments overlap both are kept.

    Args:
        path: The file.
        grid: Of the scan. Only frames aside of each other, as of a tilted gantry, are laid on it.

    Returns:
        On the part of the scan's grid from the first to the last slice that the SEG has; of a tilted gantry
        on ``grid``, or on one that the frames give.

    Raises:
        VolumeError: It is damaged, or its frames make no volume.
    """
    from highdicom.seg import segread

    made = segread(path)
    labels, numbers = _labels(made, path), list(made.segment_numbers)
    if numbers and made.get_volume_geometry(allow_missing_positions=True) is None:
        overlay, geometry = tilted_segments(path, made, numbers, grid)
    else:
        overlay, affine = _overlaid(path, made, numbers)
        geometry = _geometry(affine, overlay.array)
    return LabelMap(overlay.array, geometry, path.name, labels, overlay.overlaps)


def segment_labels(path: Path) -> tuple[Label, ...]:
    """The labels, in the order of their values.

    Raises:
        VolumeError: It is damaged.
    """
    from highdicom.seg import segread

    return _labels(segread(path, lazy_frame_retrieval=True), path)


def _labels(made: Segmentation, path: Path) -> tuple[Label, ...]:
    numbers = list(made.segment_numbers)
    if len(numbers) > 255:
        raise VolumeError(f"{path} holds {len(numbers)} segments; Med3D reads at most 255, split the file.")
    return tuple(distinct(_label(made.get_segment_description(n), i) for i, n in enumerate(numbers)))


def _overlaid(path: Path, made: Segmentation, numbers: Sequence[int]) -> tuple[Overlay, np.ndarray]:
    """The segments as values 1, 2, ..., and the affine."""
    from highdicom.seg import segread

    whole = made.get_volume_geometry(allow_missing_positions=True)
    if whole is None or not numbers:
        raise ValueError("its frames make no volume")
    if made.segmentation_type.value != "FRACTIONAL":
        try:
            volume = made.get_volume(combine_segments=True, relabel=True, allow_missing_positions=True, dtype=np.uint8)
            overlay = Overlay(volume.array.shape, len(numbers), str(path))
            overlay.lay(volume.array)
            return overlay, volume.affine
        except RuntimeError:  # they overlap, and what says so keeps its tables locked until this block ends
            made = segread(path)
    overlay = Overlay(tuple(whole.spatial_shape), len(numbers), str(path))
    for position, number in enumerate(numbers, start=1):
        volume = made.get_volume(segment_numbers=[number], allow_missing_positions=True)
        overlay.lay((volume.array[..., 0] >= 0.5) * np.uint8(position))
    return overlay, volume.affine


def _geometry(affine: np.ndarray, array: np.ndarray) -> Geometry:
    """Of highdicom's affine, from (plane, row, column) to LPS mm."""
    columns = affine[:3, 2::-1]
    spacing = np.linalg.norm(columns, axis=0)
    planes, rows, width = array.shape
    (x, y, z), (left, back, up) = spacing.tolist(), affine[:3, 3].tolist()
    return Geometry((width, rows, planes), (x, y, z), (left, back, up), tuple((columns / spacing).ravel().tolist()))


def _label(described: SegmentDescription, position: int) -> Label:
    from highdicom.color import CIELabColor

    kind = described.SegmentedPropertyTypeCodeSequence[0]
    modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence")
    codes = (
        code_of(described.SegmentedPropertyCategoryCodeSequence[0]),
        code_of(kind),
        code_of(modifiers[0]) if modifiers else None,
    )
    lab = described.get("RecommendedDisplayCIELabValue")
    rgb = CIELabColor.from_dicom_value(lab).to_rgb() if lab else None
    return described_label(described.segment_label, position, codes, rgb)
