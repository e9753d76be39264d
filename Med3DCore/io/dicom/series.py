"""DICOM folders: which series they hold. Never shows who the patient is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from Med3DCore.errors import VolumeError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom.files import files_below, images_in, named, warnings_of
from Med3DCore.io.dicom.image import DicomImage
from Med3DCore.io.dicom.parts import Part, parts_of
from Med3DCore.io.dicom.tilt import Tilt
from Med3DCore.io.files import as_path, ending_of, require_text
from Med3DCore.io.orientation import not_given
from Med3DCore.io.warning import warner
from Med3DCore.progress import Progress

_NOT_SCANS = ("SEG", "RTDOSE", "RTSTRUCT", "SR", "PR", "KO", "REG", "OT", "SC")


@dataclass(frozen=True, eq=False)
class Series:
    """A DICOM series, or the part of one that makes a volume.

    Args:
        uid: Series Instance UID.
        number: Series Number, or None.
        description: Series Description.
        modality: Such as ``"CT"``.
        images: In the order of the slices.
        geometry: The grid.
        scout: Whether it is a localizer.
        missing: Which slices of the grid are to be filled in, from 0.
        part_kind: What tells it from other parts of the series, such as ``"acquisition"``; empty if it is the only one.
        part_value: The value of that, such as ``"2"``.
        problem: Why it cannot be read as a volume, as the end of a sentence, or None.
        notes: What to warn of when it is read, as the ends of sentences.
        left_out: What else is there, once it was chosen; a text each.
        tilt: How its slices are shifted over each other when it is read, or None.
    """

    uid: str
    number: int | None
    description: str
    modality: str
    images: tuple[DicomImage, ...]
    geometry: Geometry
    scout: bool = False
    missing: tuple[int, ...] = ()
    part_kind: str = ""
    part_value: str = ""
    problem: str | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    tilt: Tilt | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that it is in, in the order of the slices."""
        return tuple(dict.fromkeys(image.path for image in self.images))

    @property
    def slices(self) -> int:
        """How many slices it has, without those to be filled in."""
        return len(self.images)

    @property
    def scan(self) -> bool:
        """Whether it is what a scanner measured: no scout, no picture of a screen, no result of others' work."""
        return not self.scout and self.modality not in _NOT_SCANS and not self.images[0].is_picture

    @property
    def usable(self) -> bool:
        """Whether it is a scan of several slices that can be read."""
        return self.why_not is None

    @property
    def why_not(self) -> str | None:
        """Why it is not usable, for a list, or None."""
        if self.scout:
            return "a scout"
        if self.modality in _NOT_SCANS:
            return f"{self.modality} is no scan"
        if not self.scan and not self.problem:
            return "pictures of a screen"
        return self.problem or ("a single slice" if self.slices == 1 else None)

    @property
    def name(self) -> str:
        """What to call it at the beginning of a sentence."""
        return f"The series {self.description or self.uid} in {self.files[0].parent}"

    @property
    def is_oriented(self) -> bool:
        """Whether it says how the patient lies."""
        return any(image.axes is not None for image in self.images)

    @property
    def orientation_note(self) -> str | None:
        """Why it is not sure how the patient lies, a sentence, or None."""
        return None if self.is_oriented else not_given(self.name, "its slices have no ImageOrientationPatient")

    @property
    def title(self) -> str:
        """Modality, description, part and number, such as ``CT 'Thorax', acquisition 2 (series number 3)``."""
        name = f"{self.modality} '{self.description}'" if self.description else self.modality
        part = f", {self.part_kind} {self.part_value or 'not given'}" if self.part_kind else ""
        return name + part + ("" if self.number is None else f" (series number {self.number})")

    def facts(self) -> dict:
        """Plain values for JSON."""
        return {
            "title": self.title,
            "uid": self.uid,
            "series_number": self.number,
            "description": self.description,
            "modality": self.modality,
            "slices": self.slices,
            "part": {self.part_kind: self.part_value} if self.part_kind else None,
            "gantry_tilt_degrees": round(self.tilt.degrees, 2) if self.tilt else 0.0,
            "left_out": list(self.left_out),
        }

    def __str__(self) -> str:
        size = " x ".join(str(n) for n in self.geometry.size)
        spacing = " x ".join(f"{value:.3g}" for value in self.geometry.spacing)
        slices = "1 slice" if self.slices == 1 else f"{self.slices} slices"
        tilt = f", gantry tilt of {self.tilt.degrees:.1f} degrees" if self.tilt else ""
        flaw = f", {self.why_not}" if self.why_not and self.why_not != "a single slice" else ""
        return f"{self.title}, {slices}, {size} voxels of {spacing} mm{tilt}{flaw}"


def list_series(folder: str | Path, progress: Progress | None = None) -> list[Series]:
    """The series of images in a folder and all folders below it, by series number.

    Args:
        folder: Any folder; files that are not DICOM images are passed over.
        progress: Takes the warnings that name what cannot be read, and can cancel. Without it they are Python's.

    Raises:
        VolumeError: There is no such folder, it may not be read, or it holds no DICOM image.
    """
    folder = as_path(folder)
    require_text(folder)
    if not folder.is_dir():
        raise VolumeError(f"There is no folder {folder}; check the name.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise VolumeError(f"The folder {folder} may not be read; ask its owner for permission or copy it elsewhere.")
    unreadable: list[Path] = []
    series = _series_in(files_below(folder, unreadable, progress), unreadable, progress)
    if not series:
        if unreadable:
            raise VolumeError(
                f"The folder {folder} holds no DICOM image that can be read; damaged, encrypted or not permitted: "
                f"{named(unreadable)}."
            )
        image = next((path.name for path in sorted(folder.iterdir()) if ending_of(path)), None)
        hint = f"give the file in it, such as {image}" if image else "give an image file or a folder with DICOM files"
        raise VolumeError(f"The folder {folder} holds no DICOM image that can be read; {hint}.")
    return series


def series_beside(path: Path, progress: Progress | None = None) -> list[Series]:
    """The series of images in the folder of a DICOM file, that of the file among them.

    Raises:
        VolumeError: The file is no readable image.
    """
    if not images_in([path], []):
        raise VolumeError(
            f"{path} is a DICOM file but no image that can be read (truncated, damaged, encrypted, or a report); "
            "copy or export it again."
        )
    neighbours = [path, *(other for other in sorted(path.parent.iterdir()) if other.is_file() and other != path)]
    return _series_in(neighbours, [], progress)


def series_of_files(paths: Iterable[Path], progress: Progress | None = None) -> list[Series]:
    """The series of images that some files make, whatever else lies beside them; by series number."""
    return _series_in(paths, [], progress)


def _series_in(paths: Iterable[Path], unreadable: list[Path], progress: Progress | None) -> list[Series]:
    """The series that files make; what cannot be read is told, and may be what a series lacks."""
    parts = parts_of(images_in(paths, unreadable))
    for sentence in warnings_of(unreadable):
        warner(progress)(sentence)
    return sorted((_series(part, unreadable) for part in parts), key=_place_in_list)


def _place_in_list(one: Series) -> tuple:
    return one.number is None, one.number or 0, one.uid, bool(one.part_kind) or -one.slices


def _series(part: Part, unreadable: Sequence[Path]) -> Series:
    stack, one = part.stack, part.stack.images[0]
    problem = stack.problem
    if problem and unreadable:
        problem += f", and {len(unreadable)} beside it cannot be read ({named(unreadable, 5)})"
    return Series(
        uid=one.series_uid,
        number=one.series_number,
        description=one.description,
        modality=one.modality,
        images=stack.images,
        geometry=stack.geometry,
        scout=one.localizer,
        missing=stack.missing,
        part_kind=part.kind,
        part_value=part.value,
        problem=problem,
        notes=stack.notes,
        tilt=stack.tilt,
    )
