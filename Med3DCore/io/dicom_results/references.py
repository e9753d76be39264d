"""Which series a SEG or RTSTRUCT was drawn on: by the UIDs that it names itself, never by a file's name or place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.io.dicom.series import Series, series_of_files
from Med3DCore.io.dicom_results.kinds import is_dicom_label
from Med3DCore.progress import Progress

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class References:
    """What a SEG or RTSTRUCT points to.

    Args:
        series: Series Instance UIDs.
        images: SOP Instance UIDs of slices.
    """

    series: frozenset[str]
    images: frozenset[str]

    def same_series(self, other: References) -> bool:
        """Whether two labels were drawn on the same images, or, where one names none, on the same series."""
        if self.images and other.images:
            return not self.images.isdisjoint(other.images)
        return not self.series.isdisjoint(other.series)

    def meant(self, series: Iterable[Series]) -> Series | None:
        """The series that was drawn on: of which most slices are named, or, where none is, the UID. None if none fits.

        An acquisition of a series is told from the others by its slices. Where two different series are named alike
        it is None, too: nobody knows which one is meant.
        """
        series = list(series)
        named = {id(one): sum(image.image_uid in self.images for image in one.images) for one in series}
        most = max(named.values(), default=0)
        fitting = [one for one in series if (named[id(one)] == most if most else one.uid in self.series)]
        if len({one.uid for one in fitting}) != 1:
            return None
        return max(fitting, key=lambda one: (one.problem is None, one.slices))


def references_of(made: Dataset) -> References:
    """The references of a SEG or RTSTRUCT as pydicom read it. Source: PS3.3, C.12.4 and C.8.8.5."""
    listed = [
        *made.get("ReferencedSeriesSequence", []),
        *(
            series
            for frame in made.get("ReferencedFrameOfReferenceSequence", [])
            for study in frame.get("RTReferencedStudySequence", [])
            for series in study.get("RTReferencedSeriesSequence", [])
        ),
    ]
    images = [
        image.ReferencedSOPInstanceUID
        for one in listed
        for image in (*one.get("ReferencedInstanceSequence", []), *one.get("ContourImageSequence", []))
    ]
    return References(frozenset(one.SeriesInstanceUID for one in listed), frozenset(images or _images_of_frames(made)))


def _images_of_frames(made: Dataset) -> Iterable[str]:
    """Where a file lists no series: the slices that each frame was derived from, or each contour lies on."""
    for frame in made.get("PerFrameFunctionalGroupsSequence", []):
        for derivation in frame.get("DerivationImageSequence", []):
            yield from (image.ReferencedSOPInstanceUID for image in derivation.get("SourceImageSequence", []))
    for structure in made.get("ROIContourSequence", []):
        for contour in structure.get("ContourSequence", []):
            yield from (image.ReferencedSOPInstanceUID for image in contour.get("ContourImageSequence", []))


def dicom_labels_among(paths: Iterable[Path], progress: Progress | None = None) -> list[Path]:
    """The SEG and RTSTRUCT among files, whatever they are called; by their headers."""
    found = []
    for path in paths:
        if progress is not None:
            progress.check()
        if is_dicom_label(path):
            found.append(path)
    return found


def series_among(paths: Sequence[Path], progress: Progress | None = None) -> list[Series]:
    """The scans among files, each in one folder; what cannot be read is passed over, since a label will miss it."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        folders.setdefault(path.parent, []).append(path)
    quiet, found = Progress(), []
    for files in folders.values():
        if progress is not None:
            progress.check()
        found += [one for one in series_of_files(files, quiet) if one.scan]
    return found
