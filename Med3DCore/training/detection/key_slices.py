"""Key slices with boxes around lesions, from a table in DeepLesion's layout (papers.md C).

``DL_info.csv`` has a row a lesion; ``Images_png/000001_01_02/109.png`` beside it is slice 109 of the first patient's
first study, series 2, as 16-bit PNG of HU + 32768. Each series holds only the slices around its key slices.

Columns that are needed: ``File_name`` (``000001_01_02_109.png``), ``Patient_index``, ``Study_index``, ``Series_ID``,
``Key_slice_index``, ``Bounding_boxes`` (x1, y1, x2, y2 in pixels, 5 more on each side than was measured),
``Slice_range``, ``Spacing_mm_px_``, ``Image_size``; where there are, ``Train_Val_Test`` (1, 2, 3), ``Possibly_noisy``
and ``Lesion_diameters_Pixel_`` are used, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from Med3DCore.boxes import Box
from Med3DCore.errors import DataError, SettingError
from Med3DCore.geometry import Triple
from Med3DCore.io.hounsfield_png import png_size
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.description import check_cases
from Med3DCore.training.data_sets.rows import read_rows

TABLE = "DL_info.csv"
IMAGES = "Images_png"
MARGIN = 5.0
"""Pixels that DeepLesion's boxes have around what was measured."""

LICENCE = {"data": TABLE, "licence": "not stated"}
_NEEDED: tuple[str, ...] = ("file_name", "patient_index", "study_index", "series_id", "key_slice_index")
_NEEDED += ("bounding_boxes", "slice_range", "spacing_mm_px_", "image_size")
_SPLITS = {"1": "training", "2": "validation", "3": "test"}


@dataclass(frozen=True, kw_only=True)
class KeySlice(Case):
    """A case that is a slice of a CT in which somebody drew boxes around lesions; its image is that slice's file.

    Args:
        index: Number of the slice.
        first: Number of the first slice that belongs to it.
        last: Number of the last one.
        spacing: Pixel size x, y and distance of two slices, mm.
        size: Width and height in pixels.
        boxes: Of the lesions, in pixels.
        diameters_mm: Longest diameter of each lesion; nan where the table does not say it.
    """

    index: int
    first: int
    last: int
    spacing: Triple
    size: tuple[int, int]
    boxes: tuple[Box, ...]
    diameters_mm: tuple[float, ...]

    def file(self, index: int) -> Path:
        """The file of another slice of its series."""
        return slice_file(self.image.parent, index)


def slice_file(series: Path, index: int) -> Path:
    """The file of a slice in the folder of its series."""
    return series / f"{index:03}.png"


def read_key_slices(
    path: Path, held_out: str = "validation", own_split: bool = False, progress: Progress | None = None
) -> list[KeySlice]:
    """Read a table of lesions; those of one slice become one case.

    Args:
        path: The table, or a folder with ``DL_info.csv``.
        held_out: Which of the table's parts to check on, ``"validation"`` or ``"test"``; the other is left out.
        own_split: Whether the patients are divided later: then nothing is left out, and all are for training.
        progress: Told what is left out; may cancel.

    Raises:
        DataError: The table cannot be read, a row makes no sense, or a file that it needs is missing or no such slice;
            line and file are named.
        SettingError: ``held_out`` is neither of the two.
    """
    if held_out not in ("validation", "test"):
        raise SettingError(f"Unknown part '{held_out}' to check on; choose validation or test.")
    table, progress = path / TABLE if path.is_dir() else path, progress or Progress()
    columns, rows = read_rows(table)
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise DataError(f"The table {table} has no column '{missing[0]}', so it is not in DeepLesion's layout.")
    slices: dict[str, list[KeySlice]] = {}
    series: dict[Path, tuple[int, KeySlice]] = {}
    noisy = left_out = 0
    for number, row in enumerate(rows, start=2):
        progress.update((number - 2) / len(rows))
        part = row.get("train_val_test", "1")
        if part not in _SPLITS:
            raise DataError(f"{table}, line {number}: its train_val_test is '{part}'; it must be 1, 2 or 3.")
        split = "training" if own_split else _SPLITS[part]
        if row.get("possibly_noisy", "0") == "1":
            noisy += 1
            continue
        if split == {"validation": "test", "test": "validation"}[held_out]:
            left_out += 1
            continue
        try:
            case = _lesion(row, table.parent / IMAGES, "validation" if split == held_out else split)
            _require_same_series(case, *series.setdefault(case.image.parent, (number, case)))
        except (ValueError, DataError) as error:
            raise DataError(f"{table}, line {number}: {str(error).removesuffix('.')}.") from None
        slices.setdefault(case.name, []).append(case)
    for count, what in ((noisy, "possibly noisy"), (left_out, f"not for training and not of the part '{held_out}'")):
        if count:
            progress.warn(f"{count} lesions of {table} are {what}; they are left out.")
    cases = [_together(lesions) for lesions in slices.values()]
    check_cases(cases, table)
    return cases


def _lesion(row: dict[str, str], images: Path, split: str) -> KeySlice:
    """A row as a case of one lesion.

    Raises:
        ValueError, DataError: The row makes no sense, or a slice is missing or no such picture.
    """
    name, who = row["file_name"], _numbers(row, ("patient_index", "study_index", "series_id"))
    parts = name.removesuffix(".png").split("_")
    if len(parts) != 4 or not name.endswith(".png") or not all(part.isdecimal() for part in parts):
        raise ValueError(f"the file name '{name}' is not like 000001_01_01_109.png")
    if [int(part) for part in parts[:3]] != who:
        raise ValueError(
            f"{name} is not of patient {who[0]}, study {who[1]}, series {who[2]}, as the row says: a folder must not "
            "hold slices of two patients"
        )
    (key,) = _numbers(row, ("key_slice_index",))
    first, last = (int(value) for value in _listed(row, "slice_range", 2))
    if int(parts[3]) != key or not first <= key <= last:
        raise ValueError(f"{name} is not slice {key} of the range {first} to {last}, as the row says")
    x, y, z = (abs(value) for value in _listed(row, "spacing_mm_px_", 3))
    if not all(0.01 < value < 100 for value in (x, y, z)):
        raise ValueError(f"the spacing {row['spacing_mm_px_']} is no voxel size in mm")
    size = tuple(int(value) for value in _listed(row, "image_size", 2))
    folder = images / "_".join(parts[:3])
    for index in range(first, last + 1):
        if not slice_file(folder, index).is_file():
            raise ValueError(f"the slice {slice_file(folder, index)} is missing")
    if png_size(slice_file(folder, key)) != size:
        raise ValueError(
            f"{slice_file(folder, key)} is not {size[0]} x {size[1]} pixels, as the row says: a folder must not hold "
            "slices of two scans"
        )
    return KeySlice(
        name=name.removesuffix(".png"),
        image=slice_file(folder, key),
        label=None,
        values={},
        annotated=(),
        patient=parts[0],
        split=split,
        source=LICENCE,
        modality="CT",
        index=key,
        first=first,
        last=last,
        spacing=(x, y, z),
        size=(size[0], size[1]),
        boxes=(_box(row, size),),
        diameters_mm=(_diameter(row, x),),
    )


def _box(row: dict[str, str], size: Sequence[int]) -> Box:
    """A box inside of the picture: its margin may reach beyond and is cut off there."""
    x1, y1, x2, y2 = _listed(row, "bounding_boxes", 4)
    if not (x1 < x2 and y1 < y2):
        raise ValueError(f"the box {row['bounding_boxes']} is no x1, y1, x2, y2 from upper left to lower right")
    if min(x1, y1) < -MARGIN or x2 > size[0] - 1 + MARGIN or y2 > size[1] - 1 + MARGIN:
        raise ValueError(f"the box {row['bounding_boxes']} lies outside of the picture of {size[0]} x {size[1]} pixels")
    return max(x1, 0.0), max(y1, 0.0), min(x2, size[0] - 1.0), min(y2, size[1] - 1.0)


def _diameter(row: dict[str, str], spacing: float) -> float:
    if not row.get("lesion_diameters_pixel_"):
        return math.nan
    return max(_listed(row, "lesion_diameters_pixel_", 2)) * spacing


def _numbers(row: dict[str, str], columns: Sequence[str]) -> list[int]:
    for column in columns:
        if not row[column].isdecimal():
            raise ValueError(f"its {column} is '{row[column]}'; it must be a whole number")
    return [int(row[column]) for column in columns]


def _listed(row: dict[str, str], column: str, count: int) -> list[float]:
    try:
        values = [float(part) for part in row[column].split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f"its {column} is '{row[column]}'; it must be {count} numbers separated by commas")
    return values


def _require_same_series(case: KeySlice, line: int, other: KeySlice) -> None:
    if (case.spacing, case.size) != (other.spacing, other.size):
        raise ValueError(
            f"{case.image.parent} has another spacing or size than line {line} says of it: a folder must not hold "
            "slices of two scans"
        )


def _together(lesions: Sequence[KeySlice]) -> KeySlice:
    """The lesions of one slice as one case."""
    first, last = min(case.first for case in lesions), max(case.last for case in lesions)
    boxes = tuple(box for case in lesions for box in case.boxes)
    diameters = tuple(diameter for case in lesions for diameter in case.diameters_mm)
    return replace(lesions[0], first=first, last=last, boxes=boxes, diameters_mm=diameters)
