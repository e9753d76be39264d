"""Segmentations as DICOM objects, SEG and RTSTRUCT: written beside their series, and read as label maps.

By highdicom and pydicom, which 3D Slicer ships; elsewhere they are the extra ``[dicom]`` of the package.
"""

from Med3DCore.io.dicom_results.kinds import DICOM_ENDINGS, DicomKind, is_dicom_label, kind_of_file, kind_of_output
from Med3DCore.io.dicom_results.origin import Maker, Origin, require_origin
from Med3DCore.io.dicom_results.read import dicom_labels, dicom_references, read_dicom_labels
from Med3DCore.io.dicom_results.references import References, dicom_labels_among, series_among
from Med3DCore.io.dicom_results.write import dicom_written

__all__ = [
    "DICOM_ENDINGS",
    "DicomKind",
    "Maker",
    "Origin",
    "References",
    "dicom_labels",
    "dicom_labels_among",
    "dicom_references",
    "dicom_written",
    "is_dicom_label",
    "kind_of_file",
    "kind_of_output",
    "read_dicom_labels",
    "require_origin",
    "series_among",
]
