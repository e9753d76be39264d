"""A DICOM SEG, read by highdicom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.label_names import described_label, distinct
from Med3DCore.tasks import Code, Label
from Med3DCore.volume import LabelMap

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom import Dataset


def read_segmentation_object(path: Path, warn: Callable[[str], None]) -> LabelMap:
    """The segments of a SEG, binary, fractional or a label map, as the labels 1, 2, ... in the order of its segments.

    A fractional segment is what is at least half. Where segments overlap the later one wins, with a warning.

    Args:
        path: The file.
        warn: Told what is lost.

    Returns:
        uint8 on the part of the scan's grid from the first to the last slice that the SEG has.

    Raises:
        VolumeError: It is damaged, or its frames make no volume.
    """
    from highdicom.seg import segread

    try:
        made = segread(path)
        numbers = list(made.segment_numbers)
        if len(numbers) > 255:
            raise VolumeError(f"{path} holds {len(numbers)} segments; Med3D reads at most 255, split the file.")
        labels = distinct([_label(made.get_segment_description(n), i) for i, n in enumerate(numbers)])
        array, affine, overlap = _merged(path, made, numbers)
    except VolumeError:
        raise
    except Exception as error:  # whatever a damaged file makes it raise
        raise VolumeError(
            f"{path} is a DICOM SEG that cannot be read ({str(error)[:200]}); export it again, or load it in 3D Slicer "
            "and save it as .seg.nrrd."
        ) from None
    if overlap:
        warn(f"The segments of {path} overlap in {overlap} voxels; there the later segment was taken.")
    return LabelMap(array, _geometry(affine, array.shape), path.name, tuple(labels))


def _merged(path: Path, made: Segmentation, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray, int]:
    """The segments as values 1, 2, ..., the affine, and how many voxels have several."""
    from highdicom.seg import segread

    if made.get_volume_geometry(allow_missing_positions=True) is None:
        raise ValueError("its frames make no volume")
    if made.segmentation_type.value != "FRACTIONAL":
        try:
            volume = made.get_volume(combine_segments=True, relabel=True, allow_missing_positions=True, dtype=np.uint8)
        except RuntimeError:  # they overlap, and what said so has left its tables locked
            return _merged_one_by_one(segread(path), numbers)
        return volume.array, volume.affine, 0
    return _merged_one_by_one(made, numbers)


def _merged_one_by_one(made: Segmentation, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray, int]:
    merged, affine, overlap = np.zeros(0, np.uint8), np.eye(4), 0
    for position, number in enumerate(numbers, start=1):
        volume = made.get_volume(segment_numbers=[number], allow_missing_positions=True)
        marked = volume.array[..., 0] >= 0.5
        if not merged.size:
            merged, affine = np.zeros(marked.shape, np.uint8), volume.affine
        overlap += int(np.count_nonzero(marked & (merged > 0)))
        merged[marked] = position
    return merged, affine, overlap


def _geometry(affine: np.ndarray, shape: tuple[int, int, int]) -> Geometry:
    """Of highdicom's affine, from (plane, row, column) to LPS mm."""
    columns = affine[:3, 2::-1]
    spacing = np.linalg.norm(columns, axis=0)
    planes, rows, width = shape
    (x, y, z), (left, back, up) = spacing.tolist(), affine[:3, 3].tolist()
    return Geometry((width, rows, planes), (x, y, z), (left, back, up), tuple((columns / spacing).ravel().tolist()))


def _label(described: SegmentDescription, position: int) -> Label:
    from highdicom.color import CIELabColor

    kind = described.SegmentedPropertyTypeCodeSequence[0]
    modifiers = kind.get("SegmentedPropertyTypeModifierCodeSequence")
    codes = (
        _code(described.SegmentedPropertyCategoryCodeSequence[0]),
        _code(kind),
        _code(modifiers[0]) if modifiers else None,
    )
    lab = described.get("RecommendedDisplayCIELabValue")
    rgb = CIELabColor.from_dicom_value(lab).to_rgb() if lab else None
    return described_label(described.segment_label, position, codes, rgb)


def _code(item: Dataset) -> Code:
    return item.get("CodingSchemeDesignator", ""), item.get("CodeValue", ""), item.get("CodeMeaning", "")
