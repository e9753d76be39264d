"""Which kind of DICOM object a file is, or is to become."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from Med3DCore.errors import VolumeError
from Med3DCore.io.dicom import tags
from Med3DCore.io.dicom.elements import read_elements
from Med3DCore.io.files import ending_of, first_bytes, is_dicom


class DicomKind(Enum):
    """A kind of segmentation in DICOM; its value is the ending of a file to be written."""

    SEG = ".seg.dcm"
    RTSTRUCT = ".rtstruct.dcm"


DICOM_ENDINGS = tuple(kind.value for kind in DicomKind)
# SEG binary or fractional, label map SEG, RTSTRUCT. Source: PS3.4, table B.5-1.
_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.66.4": DicomKind.SEG,
    "1.2.840.10008.5.1.4.1.1.66.7": DicomKind.SEG,
    "1.2.840.10008.5.1.4.1.1.481.3": DicomKind.RTSTRUCT,
}


def kind_of_output(path: Path) -> DicomKind | None:
    """The kind that a file name asks for, or None."""
    return next((kind for kind in DicomKind if path.name.lower().endswith(kind.value)), None)


def is_dicom_label(path: Path) -> bool:
    """Whether a path is a SEG or RTSTRUCT; archives often export files without an ending."""
    return path.is_file() and not ending_of(path) and kind_of_file(path) is not None


def kind_of_file(path: Path) -> DicomKind | None:
    """The kind of a DICOM file, or None if it holds something else, is damaged or is no DICOM at all."""
    try:
        if not is_dicom(first_bytes(path)):
            return None
        header, _ = read_elements(path)
    except (VolumeError, OSError):
        return None
    return _CLASSES.get(header.text(tags.SOP_CLASS))
