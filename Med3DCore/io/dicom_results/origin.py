"""What a DICOM result points back to: its series, and what made it."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import OutputError
from Med3DCore.io.dicom.series import Series
from Med3DCore.io.dicom_results.kinds import DicomKind, kind_of_output
from Med3DCore.io.header import Header

if TYPE_CHECKING:
    from pydicom import Dataset

_PACKAGES = {DicomKind.SEG: "highdicom", DicomKind.RTSTRUCT: "pydicom"}
# What a result has in common with its scan: of the patient and the study what they are known by, no more.
OF_THE_STUDY = (
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
)


@dataclass(frozen=True)
class Maker:
    """Who found or drew a label.

    Args:
        kind: ``"AUTOMATIC"``, ``"SEMIAUTOMATIC"`` if a person corrected it since, or ``"MANUAL"``.
        model: name-version of the model; empty if none took part.
        digest: SHA-256 of that, hexadecimal, or empty.
    """

    kind: str = "AUTOMATIC"
    model: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Origin:
    """Where a label map comes from.

    Args:
        series: The scan; the label map lies on its grid.
        model: name-version of what made it.
        digest: SHA-256 of that, hexadecimal.
        labelmap: Whether a SEG is stored as a label map (newer, smaller, read by few) instead of a bit a voxel.
        makers: One a label, where they are not all what the model found.
        series_number: Of the result's series; None takes the usual one of its kind.
        edition: Which of several results of the scan in one archive, from 1; told in the description from 2 on.
    """

    series: Series
    model: str
    digest: str
    labelmap: bool = False
    makers: tuple[Maker, ...] = ()
    series_number: int | None = None
    edition: int = 1

    def described(self, what: str) -> str:
        """A description of the result's series, such as "Segmentation by liver-lungs-0.4.0 (2)"."""
        again = f" ({self.edition})" if self.edition > 1 else ""
        return f"{what} by {self.model}"[: 64 - len(again)] + again

    def maker(self, value: int) -> Maker:
        """Who made the label with that value, from 1."""
        return self.makers[value - 1] if self.makers else Maker("AUTOMATIC", self.model, self.digest)

    @cached_property
    def images(self) -> list[Dataset]:
        """The files of the series as pydicom has them, without pixels, in the order of the slices.

        Raises:
            OutputError: One cannot be read any more, or lacks what cannot be left empty.
        """
        import pydicom

        require_names(self.series)
        try:
            images: list[Dataset] = [pydicom.dcmread(path, stop_before_pixels=True) for path in self.series.files]
        except Exception as error:
            raise OutputError(f"{self.series.name} cannot be read again to point to it: {error}") from None
        for image in images:
            _complete(image, self.series)
        return images


def _complete(image: Dataset, series: Series) -> None:
    """Give the header of an image what anonymizers take out though DICOM wants it, if only empty (PS3.5, 7.4.3)."""
    if not image.get("SOPClassUID"):
        raise _unnamed(series, "SOPClassUID")
    for keyword in OF_THE_STUDY:
        if keyword not in image and keyword not in ("SpecificCharacterSet", "StudyInstanceUID"):
            setattr(image, keyword, "")
    if not image.get("SliceThickness") and "NumberOfFrames" not in image:
        image.SliceThickness = f"{series.geometry.spacing[2]:.6g}"


def require_names(series: Series) -> None:
    """Find out whether a series has the names and places that a result points to it by.

    Raises:
        OutputError: One is missing; the sentence names it.
    """
    study, frame_of_reference = series.images[0].kin
    names = {"StudyInstanceUID": study, "SeriesInstanceUID": series.uid, "FrameOfReferenceUID": frame_of_reference}
    names["SOPInstanceUID"] = min(image.image_uid for image in series.images)
    for name, value in names.items():
        if not value:
            raise _unnamed(series, name)
    if any(image.axes is None or image.position is None or image.located for image in series.images):
        raise OutputError(
            f"{series.name} does not say how its slices lie in the patient, without which no DICOM result can lie over "
            "them; write .seg.nrrd or .nii.gz instead."
        )


def _unnamed(series: Series, keyword: str) -> OutputError:
    return OutputError(
        f"{series.name} has no {keyword}, without which no DICOM result can point to it; write .seg.nrrd or .nii.gz "
        "instead."
    )


def require_origin(scan: Header | Series, outputs: Iterable[Path], orientation: str | None = None) -> None:
    """Find out whether results of a scan can be written as DICOM, before the work.

    Args:
        scan: What was found.
        outputs: Files to be written; those that are to be no DICOM are passed over.
        orientation: That somebody gave for the scan, against what its header says, or None.

    Raises:
        OutputError: The scan is no DICOM series, lacks names, was turned, or a package is missing.
    """
    for output in outputs:
        kind = kind_of_output(output)
        if kind is None:
            continue
        if not isinstance(scan, Series):
            raise OutputError(
                f"{output.name} cannot be made from {scan.path}: a DICOM {kind.name} names the patient, study and "
                "slices that it belongs to, which only a DICOM series knows. Segment the series, or write .seg.nrrd."
            )
        if orientation is not None:
            raise OutputError(
                f"{output.name} cannot be made with --orientation: a DICOM {kind.name} lies where the headers of its "
                "series say. Write .seg.nrrd instead."
            )
        require_names(scan)
        if importlib.util.find_spec(_PACKAGES[kind]) is None:
            raise OutputError(
                f"DICOM {kind.name} is written by the package {_PACKAGES[kind]}; install it with "
                "pip install 'Med3DCore[dicom]', or write .seg.nrrd instead."
            )
