"""What a DICOM image says of itself: one slice, be it a file or a frame of one. Never who the patient is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from Med3DCore.io.dicom import tags
from Med3DCore.io.dicom.elements import DataSet, damaged, read_elements
from Med3DCore.io.dicom.frames import frames_of
from Med3DCore.io.dicom.pixels import COLOUR, PixelFormat, Rescale
from Med3DCore.io.dicom.texts import coding_of

# Cosines may be so far from those of a rotation (0.3 degrees): rounding to three decimals leaves a third of it.
PARALLEL = 5e-3
# SOP classes of CT, MR and PET images, with a dot at their end.
_SCANS = tuple(f"1.2.840.10008.5.1.4.1.1.{end}." for end in (2, 4, 128))
_LARGEST = 1 << 31  # of an integer string
# What may part the images of one series into acquisitions or phases, the likeliest first.
_MARKS = {
    "study": tags.STUDY_UID,
    "acquisition": tags.ACQUISITION,
    "temporal position": tags.TEMPORAL_POSITION,
    "stack": tags.STACK,
    "echo": tags.ECHO,
    "trigger time": tags.TRIGGER_TIME,
    "image type": tags.IMAGE_TYPE,
    "kernel": tags.KERNEL,
    "acquisition time": tags.ACQUISITION_TIME,
}
_FRAME_MARKS = {"acquisition": tags.FRAME_ACQUISITION, "temporal position": tags.TEMPORAL_INDEX}


@dataclass(frozen=True)
class DicomImage:
    """One slice: the fields that decide which volume it belongs to, and how its pixels are stored.

    Args:
        path: The file.
        frame: Which frame of it, from 0.
        series_uid: Series Instance UID (0020,000E).
        image_uid: SOP Instance UID (0008,0018).
        kin: What images of one series have in common besides the UID: study, frame of reference.
        series_number: Series Number (0020,0011), or None.
        description: Series Description (0008,103E).
        modality: Modality (0008,0060), such as ``"CT"``.
        localizer: Whether Image Type (0008,0008) says that it is a scout.
        position: float64 [3], LPS mm of the first pixel's centre, or None if it does not say.
        axes: float64 [2, 3], unit vectors along a row and a column, at right angles within PARALLEL, or None if it does
            not say.
        spacing: (x, y) mm of a pixel.
        thickness: mm, or 0; counts only for an image by itself, since scanners fill it in freely.
        marks: What may part a series, such as ``{"acquisition": "2"}``.
        order: Time and number, by which images of one place are told apart.
        pixels: How the pixels of the file are stored.
        rescale: From stored values to real ones.
        fault: What is wrong with it, as the end of a sentence, or None.
        location: Slice Location (0020,1041), mm along the normal, or None.
        located: Whether ``position`` is no more than what the location tells, see :mod:`.location`.
    """

    path: Path
    frame: int
    series_uid: str
    image_uid: str
    kin: tuple[str, ...]
    series_number: int | None
    description: str
    modality: str
    localizer: bool
    position: np.ndarray | None
    axes: np.ndarray | None
    spacing: tuple[float, float]
    thickness: float
    marks: dict[str, str]
    order: tuple[str, float]
    pixels: PixelFormat
    rescale: Rescale
    fault: str | None = None
    location: float | None = None
    located: bool = False

    @property
    def is_picture(self) -> bool:
        """Whether it is something to look at, such as a dose report or a rendering, that no scanner measured."""
        return self.fault == COLOUR or ("SECONDARY" in self.marks["image type"].upper() and self.position is None)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self.pixels.columns, self.pixels.rows


def read_images(path: Path) -> list[DicomImage]:
    """The slices in a DICOM file, by its header only; none if it is no image.

    Raises:
        VolumeError: It is damaged or ends too early.
        OSError: It cannot be opened.
    """
    header, syntax = read_elements(path)
    if header.pixels is None:
        if f"{header.text(tags.SOP_CLASS)}.".startswith(_SCANS):
            raise damaged(path)
        return []
    pixels = PixelFormat.of(path, header, syntax)
    frames = frames_of(header, pixels.frames)
    return [_image(frame, pixels, number) for number, frame in enumerate(frames)]


def _image(said: DataSet, pixels: PixelFormat, frame: int) -> DicomImage:
    number = said.number(tags.SERIES_NUMBER)
    position, axes = _numbers(said, tags.POSITION, 3), _axes(said.numbers(tags.ORIENTATION))
    spacing = _numbers(said, tags.PIXEL_SPACING, 2)
    known = spacing if spacing is not None and spacing.min() > 0 else None
    thickness = said.number(tags.THICKNESS) or said.number(tags.SPACING_BETWEEN) or 0.0
    marks = {name: said.text(tag) for name, tag in _MARKS.items()}
    marks |= {name: str(said.integer(tag)) for name, tag in _FRAME_MARKS.items() if tag in said.values}
    rescale = Rescale.of(said)
    return DicomImage(
        path=pixels.path,
        frame=frame,
        series_uid=said.text(tags.SERIES_UID),
        image_uid=said.text(tags.IMAGE_UID),
        kin=(said.text(tags.STUDY_UID), said.text(tags.FRAME_OF_REFERENCE)),
        series_number=None if number is None or abs(number) > _LARGEST else int(number),
        description=said.text(tags.SERIES_DESCRIPTION, coding_of(said.text(tags.CHARACTER_SET))),
        modality=said.text(tags.MODALITY) or "image",
        localizer="LOCALIZER" in said.text(tags.IMAGE_TYPE).upper(),
        position=position,
        axes=axes,
        spacing=(1.0, 1.0) if known is None else (float(known[1]), float(known[0])),
        thickness=max(0.0, thickness),
        marks=marks,
        order=(_time(said), said.number(tags.INSTANCE) or 0.0),
        pixels=pixels,
        rescale=rescale,
        fault=pixels.fault or rescale.fault or _fault(said, axes, known is not None),
        location=said.number(tags.SLICE_LOCATION),
    )


def _fault(said: DataSet, axes: np.ndarray | None, spacing_known: bool) -> str | None:
    if not spacing_known:
        return "does not say how large its pixels are (PixelSpacing is missing or zero)"
    if axes is None and said.values.get(tags.ORIENTATION, b"").strip(b" \0"):
        return "does not say how its slices lie (ImageOrientationPatient makes no sense)"
    if axes is not None and abs(axes[0] @ axes[1]) > PARALLEL:
        degrees = np.degrees(np.arccos(axes[0] @ axes[1]))
        return f"has rows and columns that are not at right angles ({degrees:.1f} degrees)"
    return None


@lru_cache(maxsize=64)  # the slices of a series all have the same
def _axes(cosines: tuple[float, ...]) -> np.ndarray | None:
    if len(cosines) != 6 or not np.isfinite(cosines).all():
        return None
    axes = np.reshape(cosines, (2, 3))
    lengths = np.linalg.norm(axes, axis=1, keepdims=True)
    if not np.all(np.abs(lengths - 1) < 0.1):
        return None
    axes /= lengths
    axes.flags.writeable = False
    return axes


def _numbers(said: DataSet, tag: int, count: int) -> np.ndarray | None:
    numbers = np.array(said.numbers(tag))
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _time(said: DataSet) -> str:
    """As it sorts: date and time of what was measured, of frames and files alike."""
    both = said.text(tags.FRAME_TIME) or said.text(tags.ACQUISITION_DATE_TIME)
    return both or said.text(tags.ACQUISITION_DATE) + said.text(tags.ACQUISITION_TIME)
