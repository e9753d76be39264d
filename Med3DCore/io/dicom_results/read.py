"""Reading DICOM SEG and RTSTRUCT as label maps."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from Med3DCore.errors import Med3DError, VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom_results.kinds import DicomKind, kind_of_file
from Med3DCore.io.dicom_results.references import References, references_of
from Med3DCore.labels import Label
from Med3DCore.volume import LabelMap


def read_dicom_labels(path: Path, grid: Geometry | None, warn: Callable[[str], None]) -> LabelMap:
    """The segments or structures of a DICOM file.

    Args:
        path: A SEG or RTSTRUCT.
        grid: Of the scan. An RTSTRUCT has none of its own: without, its series is looked for beside it. A SEG on slices
            of a tilted gantry is laid on it.
        warn: Told what is lost or was guessed.

    Returns:
        uint8, of a SEG most often on its own grid, which may be a part of the scan's.

    Raises:
        VolumeError: It is another kind of DICOM, damaged, or its series is not to be found.
    """
    kind = _checked_kind(path)
    with _readable(path, kind):
        if kind is DicomKind.SEG:
            from Med3DCore.io.dicom_results.read_segmentation_object import read_segmentation_object

            return read_segmentation_object(path, grid)
        from Med3DCore.io.dicom_results.read_structure_set import read_structure_set

        return read_structure_set(path, grid, warn)


def dicom_labels(path: Path) -> tuple[Label, ...]:
    """The labels that :func:`read_dicom_labels` gives, in the order of their values.

    Raises:
        VolumeError: As there.
    """
    kind = _checked_kind(path)
    with _readable(path, kind):
        if kind is DicomKind.SEG:
            from Med3DCore.io.dicom_results.read_segmentation_object import segment_labels

            return segment_labels(path)
        from Med3DCore.io.dicom_results.read_structure_set import structure_labels

        return structure_labels(path)


def dicom_references(path: Path) -> References:
    """What a DICOM file of labels was drawn on.

    Raises:
        VolumeError: It is another kind of DICOM, or damaged.
    """
    with _readable(path, _checked_kind(path)):
        import pydicom

        return references_of(pydicom.dcmread(path, stop_before_pixels=True))


def _checked_kind(path: Path) -> DicomKind:
    kind = kind_of_file(path)
    if kind is None:
        raise VolumeError(
            f"{path} is DICOM but holds no segmentation that can be read (SEG or RTSTRUCT); give a label map file."
        )
    package = "highdicom" if kind is DicomKind.SEG else "pydicom"
    if importlib.util.find_spec(package) is None:
        raise VolumeError(
            f"{path} is DICOM {kind.name}, which the package {package} reads; install it with "
            "pip install 'Med3DCore[dicom]', or load it in 3D Slicer and save it as .seg.nrrd."
        )
    return kind


@contextmanager
def _readable(path: Path, kind: DicomKind) -> Iterator[None]:
    """Whatever a damaged file makes highdicom or pydicom raise becomes a sentence."""
    try:
        yield
    except Med3DError:
        raise
    except Exception as error:
        raise VolumeError(
            f"{path} is a DICOM {kind.name} that cannot be read ({str(error)[:200]}); export it again, or load it in "
            "3D Slicer and save it as .seg.nrrd."
        ) from None
