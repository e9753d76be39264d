"""LUNA16's candidates: places in scans where a detector saw something, and whether there is a nodule.

``subset0/UID.mhd`` to ``subset9``, ``candidates_V2.csv`` (or ``candidates.csv``): seriesuid, coordX, coordY, coordZ,
class; and ``annotations.csv`` with the nodules' diameters; coordinates are LPS mm. ``annotations_excluded.csv``, which
comes with the challenge's evaluation, lists findings that count for nobody; -1 for a diameter means 10 mm there. A
candidate hits a nodule that is nearer than half its diameter (https://luna16.grand-challenge.org/Evaluation).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from Med3DCore.benchmarks.patterns import find_files
from Med3DCore.benchmarks.task import BenchmarkTask
from Med3DCore.errors import DataError
from Med3DCore.geometry import Triple
from Med3DCore.progress import Progress
from Med3DCore.training.classification.nodules import Nodule
from Med3DCore.training.data_sets.rows import read_rows

CLASSES = ("other", "nodule")
_CANDIDATES = ("candidates_V2.csv", "candidates.csv")
_PLACE = ("coordx", "coordy", "coordz")
_UNMEASURED_MM = 10.0
_DEEP = ("", "evaluationScript/annotations/", "annotations/")


@dataclass(frozen=True)
class Finding:
    """A nodule of the reference, or a finding that counts for nobody.

    Args:
        scan: UID of the series.
        centre: LPS mm.
        diameter_mm: How large it is.
    """

    scan: str
    centre: Triple
    diameter_mm: float

    def is_hit(self, place: Triple) -> bool:
        """Whether a candidate lies on it."""
        apart = float(np.linalg.norm(np.subtract(place, self.centre)))
        return apart <= self.diameter_mm / 2


@dataclass(frozen=True)
class Luna16:
    """The data set.

    Args:
        candidates: Each with its scan as patient.
        nodules: The reference.
        excluded: What counts for nobody.
        subsets: Scan to the name of its folder.
    """

    candidates: list[Nodule]
    nodules: list[Finding]
    excluded: list[Finding]
    subsets: dict[str, str]


def read_luna16(task: BenchmarkTask, folder: Path, progress: Progress | None = None) -> Luna16:
    """The candidates of the scans that are there, and what they should find.

    Raises:
        DataError: A table is missing or makes no sense, or no candidate lies in a scan that is there.
    """
    found = find_files(folder, "{subset}/{series}.mhd", progress)
    root = Path(found[0][1][""])
    scans = {fields["series"]: path for path, fields in found}
    subsets = {fields["series"]: fields["subset"] for _, fields in found}
    table = next((root / name for name in _CANDIDATES if (root / name).is_file()), None)
    if table is None:
        raise DataError(f"{root} holds neither {' nor '.join(_CANDIDATES)}; download it beside the subsets.")
    candidates = []
    for number, (series, place, row) in enumerate(_rows(table, "class"), start=1):
        if row["class"] not in ("0", "1"):
            raise DataError(f"{table}, line {number + 1}: the class is '{row['class']}'; it must be 0 or 1.")
        if series in scans:
            candidates.append(
                Nodule(
                    name=f"candidate {number}",
                    image=scans[series],
                    label=None,
                    values={},
                    annotated=(),
                    patient=series,
                    source={"data": task.source["data"], "licence": task.source["licence"]},
                    centre=place,
                    malignant=row["class"] == "1",
                    classes=CLASSES,
                )
            )
    if not candidates:
        raise DataError(f"No candidate of {table} lies in one of the {len(scans)} scans that are there.")
    excluded = next((root / f"{deep}annotations_excluded.csv" for deep in _DEEP), None)
    return Luna16(
        candidates,
        _findings(root / "annotations.csv", scans),
        _findings(excluded, scans) if excluded is not None and excluded.is_file() else [],
        subsets,
    )


def fewer_negatives(candidates: Sequence[Nodule], count: int, seed: int) -> list[Nodule]:
    """All nodules, and of each scan so many of the other candidates, drawn by the seed.

    There are hundreds of them for one nodule; all would fill a disk and teach little more.
    """
    rng, kept = np.random.default_rng(seed), [each for each in candidates if each.malignant]
    for scan in dict.fromkeys(each.patient for each in candidates):
        own = [each for each in candidates if each.patient == scan and not each.malignant]
        kept += [own[number] for number in sorted(rng.permutation(len(own))[:count])]
    return [replace(each) for each in kept]


def _findings(table: Path, scans: dict[str, Path]) -> list[Finding]:
    result = []
    for series, place, row in _rows(table, "diameter_mm"):
        if series in scans:
            try:
                diameter = float(row["diameter_mm"])
                result.append(Finding(series, place, diameter if diameter >= 0 else _UNMEASURED_MM))
            except ValueError:
                raise DataError(f"{table}: the diameter '{row['diameter_mm']}' of {series} is no number.") from None
    return result


def _rows(table: Path, column: str) -> list[tuple[str, Triple, dict[str, str]]]:
    columns, rows = read_rows(table)
    missing = [name for name in ("seriesuid", *_PLACE, column) if name not in columns]
    if missing:
        raise DataError(f"The table {table} has no column '{missing[0]}', so it is not LUNA16's.")
    result = []
    for number, row in enumerate(rows, start=2):
        try:
            x, y, z = (float(row[name]) for name in _PLACE)
        except ValueError:
            raise DataError(f"{table}, line {number}: its coordinates are not three numbers of mm.") from None
        result.append((row["seriesuid"], (x, y, z), row))
    return result
