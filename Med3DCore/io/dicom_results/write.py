"""Writing a label map as DICOM SEG or RTSTRUCT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from Med3DCore.errors import OutputError
from Med3DCore.io.dicom_results.kinds import DICOM_ENDINGS, DicomKind, kind_of_output
from Med3DCore.io.dicom_results.origin import Origin
from Med3DCore.io.write import check_output, written_beside
from Med3DCore.volume import LabelMap

if TYPE_CHECKING:
    from pydicom import Dataset


@contextmanager
def dicom_written(labels: LabelMap, path: Path, origin: Origin) -> Iterator[None]:
    """Write a label map as the kind of DICOM object that the ending of ``path`` says: .seg.dcm or .rtstruct.dcm.

    The file takes its place when the block ends well, as with :func:`.fields_written`.

    Args:
        labels: On the grid of the series.
        path: The file.
        origin: The series, and what found the labels.

    Raises:
        OutputError: It cannot be written, or the series lacks what such an object needs.
    """
    check_output(path, DICOM_ENDINGS)
    if labels.geometry.size != origin.series.geometry.size:
        raise OutputError(f"{path} cannot be written: the result does not lie on the slices of {origin.series.name}.")
    made = _made(labels, path, origin)
    with written_beside(path, ".dcm") as temporary:
        made.save_as(temporary, enforce_file_format=True)
        yield


def _made(labels: LabelMap, path: Path, origin: Origin) -> Dataset:
    measured = _measured(labels, origin)
    if kind_of_output(path) is DicomKind.SEG:
        from Med3DCore.io.dicom_results.segmentation_object import segmentation_object

        return segmentation_object(measured, origin)
    from Med3DCore.io.dicom_results.structure_set import structure_set

    return structure_set(measured, origin)


def _measured(labels: LabelMap, origin: Origin) -> LabelMap:
    """The label map on the slices as they were taken: as many as the series has images, each of an image's size.

    Those that were filled in are no images to point to, and those of a tilted gantry are shifted back aside. Where it
    lies is told by the images then, not by its geometry.
    """
    series = origin.series
    slices = np.delete(labels.array, series.missing, axis=0) if series.missing else labels.array
    if series.tilt is not None:
        slices = series.tilt.slanted(slices)
    depth, rows, columns = slices.shape
    return replace(labels, array=slices, geometry=replace(labels.geometry, size=(columns, rows, depth)))
