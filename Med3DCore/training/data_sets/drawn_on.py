"""DICOM SEG and RTSTRUCT in a folder, each with the series that it was drawn on, by the UIDs that it names.

So it is whatever an archive's export calls its files and folders, also where many series lie in one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from Med3DCore.errors import DataError
from Med3DCore.io.dicom import Series
from Med3DCore.io.dicom_results import dicom_labels_among, dicom_references, series_among
from Med3DCore.progress import Progress


@dataclass(frozen=True)
class DrawnOn:
    """A label and its series.

    Args:
        label: The SEG or RTSTRUCT.
        series: The series.
        image: What to read it from: its folder, or, where other scans are in it, too, one of its files.
    """

    label: Path
    series: Series
    image: Path

    @property
    def series_folder(self) -> Path:
        """Where the series is."""
        return self.series.files[0].parent

    @property
    def study(self) -> str:
        """Of whom: Study Instance UID, or that of the series, where a careless anonymizer left none."""
        return self.series.images[0].kin[0] or self.series.uid

    def names(self, place: str) -> tuple[str, str, str]:
        """What to call the case, the shorter first: after its place, its number there, its UID."""
        numbered = f"{place}_{self.series.number}_{self.series.part_value}".rstrip("_")
        return place, numbered, f"{numbered}_{self.series.uid[-12:]}"


def drawn_on_series(
    paths: Sequence[Path], folder: Path, warn: Callable[[str], None], progress: Progress
) -> list[DrawnOn]:
    """The labels among files whose series is among them, too.

    Args:
        paths: Any files.
        folder: What they are in, for the sentences.
        warn: Told of labels whose series is not there.
        progress: May cancel.

    Raises:
        DataError: A series has two labels.
        VolumeError: A label is damaged.
    """
    labels = dicom_labels_among(paths, progress)
    series = series_among([path for path in paths if path not in {*labels}], progress) if labels else []
    found: dict[int, DrawnOn] = {}
    for label in labels:
        one = dicom_references(label).meant(series)
        if one is None:
            warn(
                f"The label {label} was drawn on a DICOM series that is not in {folder}, or on several alike; it is "
                "left out. Put the series beside it; if it was converted, name both in a table (dataset.csv)."
            )
            continue
        if id(one) in found:
            raise DataError(f"The {one.name[4:]} has two labels, {found[id(one)].label} and {label}; keep one of them.")
        found[id(one)] = DrawnOn(label, one, _image(one, series))
    return list(found.values())


def _image(one: Series, series: Sequence[Series]) -> Path:
    """A folder only if nothing else could be meant by it."""
    place = one.files[0].parent
    alone = sum(other.files[0].parent == place for other in series) == 1
    return place if alone and not any(each.is_dir() for each in place.iterdir()) else one.files[0]
