"""A training case: an image, its labels, and what is annotated in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from Med3DCore.errors import DataError, SettingError
from Med3DCore.geometry import Triple
from Med3DCore.io import find_scan, read_found
from Med3DCore.preprocessing.spacing import spacing_of
from Med3DCore.progress import Progress
from Med3DCore.volume import LabelMap, Volume

AnyCase = TypeVar("AnyCase", bound="Case")
Values = int | tuple[int, ...]

UNKNOWN = 255
"""In a label image: may be an organ that nobody labelled. In a target: teaches nothing."""

SPLITS = ("training", "validation")


@dataclass(frozen=True)
class Case:
    """One image of a data set.

    Args:
        name: Unique name.
        image: Image file, or a folder with one DICOM series.
        label: Label file on the same grid (a ``.seg.nrrd`` may cover a part of it), a folder with one file an organ, or
            None when the case only shows that organs are absent.
        values: Label name to the value that stands for it in the label file, or to several that together do, such as
            ``(1, 2)`` for a liver and the tumours in it. A label that has no value here is unknown everywhere.
        annotated: Names of the labels that were annotated. A voxel of another value is background for these; for all
            other labels a voxel of value 255 is unknown.
        patient: Cases of one patient never cross a split.
        split: ``"training"`` or ``"validation"``.
        absent: Names of the labels that are known not to be in the image at all.
        weight: How often the patient is drawn for training, beside another's 1; of several scans of a patient the
            largest counts, and each is drawn as its own says.
        source: Data set and licence, for the model's card.
        domain: Which of several data sets it belongs to when they are trained together; empty if there is one.
        modality: ``"CT"``, ``"MR"``, ...; empty if nobody said.
        ignore: Value of the label file that says nothing about any label, or None.
        frame: Which volume of an image file that holds several (4D NIfTI), from 0.
        channels: Further images of the patient on the same grid, for a network that takes several.
    """

    name: str
    image: Path
    label: Path | None
    values: dict[str, Values]
    annotated: tuple[str, ...]
    patient: str
    split: str = "training"
    absent: tuple[str, ...] = ()
    weight: float = 1.0
    source: dict = field(default_factory=dict)
    domain: str = ""
    modality: str = ""
    ignore: int | None = None
    frame: int = 0
    channels: tuple[Path, ...] = ()

    @property
    def drawn(self) -> tuple[str, ...]:
        """The annotated labels of which the label file says where they are, so that a result can be compared."""
        return tuple(name for name in self.annotated if name in self.values) if self.label else ()

    def inside(self, label: LabelMap, name: str) -> np.ndarray:
        """Where a label is, bool ``[z, y, x]``, in what :func:`.label.read_label` read; whatever else is there, too."""
        return label.mask_of(np.atleast_1d(self.values[name]).tolist())

    def values_in(self, label: LabelMap, name: str) -> tuple[int, ...]:
        """The values by which :meth:`inside` finds a label, those of its overlaps with others among them."""
        return label.with_overlaps(np.atleast_1d(self.values[name]).tolist())

    def known_values(self) -> set[int]:
        """Every value that the label file may have, besides those of overlaps."""
        named = {value for values in self.values.values() for value in np.atleast_1d(values).tolist()}
        return {0, UNKNOWN} | named | (set() if self.ignore is None else {self.ignore})


def read_image(case: Case, progress: Progress | None = None) -> Volume:
    """The image of a case.

    Raises:
        DataError: It holds one volume only, but the case is said to be a later one.
        VolumeError: The file cannot be read.
    """
    try:
        scan = find_scan(case.image, progress=progress, frame=case.frame)
    except SettingError as error:
        raise DataError(f"Case '{case.name}': {error}") from None
    return read_found(scan, case.image, progress)


def read_channels(case: Case, image: Volume, wanted: int, progress: Progress | None = None) -> list[Volume]:
    """The further images of a case that a network takes.

    Args:
        case: The case; of more images than are wanted the first ones are read.
        image: The case's own image, the first channel.
        wanted: How many channels the network takes, the first included.
        progress: Takes warnings; may cancel.

    Raises:
        DataError: There are too few, or one does not lie on the first one's grid.
        VolumeError: A file cannot be read.
    """
    if len(case.channels) + 1 < wanted:
        have = "one image" if not case.channels else f"{len(case.channels) + 1} images"
        raise DataError(f"Case '{case.name}' has {have}, but the network takes {wanted}; name the others as channels.")
    found = []
    for file in case.channels[: wanted - 1]:
        volume = read_found(find_scan(file, progress=progress), file, progress)
        if not volume.geometry.is_close(image.geometry, tolerance_mm=0.1):
            raise DataError(
                f"Case '{case.name}': {file} lies on another grid than {case.image}; channels must lie voxel over "
                "voxel, so resample it onto the first image."
            )
        found.append(volume)
    return found


def training_spacings(cases: Iterable[Case]) -> Iterator[Triple]:
    """Spacing (x, y, z) in mm along the patient's axes of every training case; headers are read when asked for.

    Raises:
        VolumeError: A header cannot be read.
    """
    for case in cases:
        if case.split == "training":
            yield spacing_of(find_scan(case.image, frame=case.frame).geometry)
