"""Nodules of a table: where each lies, in which scan, whose it is, and whether it is malignant.

Columns of the table: ``scan`` (image file, relative to the table), ``x``, ``y``, ``z`` (centre in mm), and
either ``label`` (0 or benign, 1 or malignant) or ``ratings`` (of LIDC's readers, 1 to 5, such as ``3 4 4``). Where
wanted: ``space`` (LPS, which is the default, or RAS), ``name``, ``patient``, ``split``, ``diameter_mm``, ``data`` and
``licence``. Other columns are not looked at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from Med3DCore.errors import DataError, SettingError
from Med3DCore.geometry import Triple
from Med3DCore.io.files import as_path
from Med3DCore.progress import Progress
from Med3DCore.training.cases.description import check_cases
from Med3DCore.training.classification.classified import ClassifiedCase
from Med3DCore.training.classification.malignancy import RULES
from Med3DCore.training.data_sets.rows import read_rows
from Med3DCore.training.data_sets.table import SPLITS_BY_NAME

SPACES = ("LPS", "RAS")
CLASSES = ("benign", "malignant")
_LABELS = {"0": False, "benign": False, "1": True, "malignant": True}


@dataclass(frozen=True, kw_only=True)
class Nodule(ClassifiedCase):
    """A case that is a point in a scan.

    Args:
        centre: LPS mm.
        malignant: What it is: of the second class.
        diameter_mm: How large it is, or None if nobody said.
        classes: Names of both classes; others than benign and malignant for points that are no nodules of known nature.
    """

    centre: Triple
    malignant: bool
    diameter_mm: float | None = None
    classes: tuple[str, str] = CLASSES

    @property
    def answer(self) -> tuple[int, ...]:
        """1 if it is of the second class."""
        return (int(self.malignant),)

    @property
    def place(self) -> Triple:
        """Its centre."""
        return self.centre

    @property
    def kind(self) -> str:
        """Its class, such as ``"benign"``."""
        return self.classes[self.malignant]


@dataclass(frozen=True)
class Centre:
    """A point to look at.

    Args:
        name: What to call it.
        point: LPS mm.
        scan: The file in which it lies, or None if nobody said.
    """

    name: str
    point: Triple
    scan: Path | None = None


def read_nodules(path: Path, rule: str = "med3d", space: str = "LPS", progress: Progress | None = None) -> list[Nodule]:
    """Read a table of nodules whose nature is known.

    Args:
        path: CSV file.
        rule: How ratings become benign or malignant, a name in :data:`.malignancy.RULES`.
        space: ``"LPS"`` or ``"RAS"``: what x and y mean where the table does not say it.
        progress: Told what is left out: nodules that the rule does not decide, and those of the split test.

    Raises:
        DataError: The table cannot be read, a row makes no sense, or a patient is in both splits.
        SettingError: Rule or space is unknown.
    """
    if rule not in RULES:
        raise SettingError(f"Unknown rule '{rule}' for ratings; choose one of {', '.join(RULES)}.")
    progress = progress or Progress()
    nodules, undecided, left_out = [], 0, 0
    for number, row, centre in _centres(path, space, ("scan", "x", "y", "z")):
        split = row.get("split", "").lower()
        if split in ("test", "testing"):
            left_out += 1
            continue
        try:
            malignant = _malignant(row, rule)
            if malignant is None:
                undecided += 1
                continue
            nodules.append(_nodule(row, centre, malignant, SPLITS_BY_NAME.get(split, split), path.name))
        except (ValueError, DataError) as error:
            raise DataError(f"{path}, line {number}: {str(error).removesuffix('.')}.") from None
    if undecided:
        progress.warn(
            f"{undecided} nodules of {path} are neither benign nor malignant (rule {rule}); they are left out."
        )
    if left_out:
        progress.warn(f"{left_out} nodules of {path} are of the split 'test'; they are left out.")
    check_cases(nodules, path)
    return nodules


def read_centres(path: Path, space: str = "LPS") -> list[Centre]:
    """Read a table of points to look at: the columns ``x``, ``y``, ``z``, and ``name``, ``scan``, ``space`` if wanted.

    Raises:
        DataError: The table cannot be read, or a row makes no sense.
        SettingError: The space is unknown.
    """
    return [centre for _, _, centre in _centres(path, space, ("x", "y", "z"))]


def to_lps(point: Sequence[float], space: str) -> Triple:
    """A point in LPS mm.

    Raises:
        SettingError: The space is neither LPS nor RAS.
    """
    if space.upper() not in SPACES:
        raise SettingError(f"Unknown space '{space}' of centres; choose {' or '.join(SPACES)}.")
    x, y, z = (float(value) for value in point)
    return (x, y, z) if space.upper() == "LPS" else (-x, -y, z)


def require_both(nodules: Sequence[Nodule]) -> None:
    """Refuse points from which nothing can be learned.

    Raises:
        DataError: All training nodules are of one class.
    """
    kinds = {nodule.kind for nodule in nodules if nodule.split == "training"}
    if len(kinds) < len(CLASSES):
        found = f"all {kinds.pop()}" if kinds else "none at all"
        needed = " and ".join(nodules[0].classes if nodules else CLASSES)
        raise DataError(f"The training nodules are {found}; a classifier needs {needed} ones.")


def _centres(path: Path, space: str, needed: Sequence[str]) -> list[tuple[int, dict[str, str], Centre]]:
    """Line number, cells and point of each row."""
    to_lps((0, 0, 0), space)
    columns, rows = read_rows(path)
    missing = [name for name in needed if name not in columns]
    if missing:
        raise DataError(f"The table {path} has no column '{missing[0]}'; it needs {', '.join(needed)}.")
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            point = to_lps([float(row[axis]) for axis in "xyz"], row.get("space") or space)
            if not all(map(math.isfinite, point)):
                raise ValueError
        except SettingError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
        except ValueError:
            raise DataError(f"{path}, line {number}: x, y and z are not three numbers of mm.") from None
        scan = path.parent / as_path(row["scan"]) if row.get("scan") else None
        if scan is None and "scan" in needed:
            raise DataError(f"{path}, line {number}: it does not say in which scan the nodule is.")
        found.append((number, row, Centre(row.get("name") or f"nodule {number - 1}", point, scan)))
    return found


def _malignant(row: dict[str, str], rule: str) -> bool | None:
    label, ratings = row.get("label", "").lower(), row.get("ratings", "")
    if label and ratings:
        raise ValueError("it has both a label and ratings; leave one of them empty")
    if label:
        if label not in _LABELS:
            raise ValueError(f"the label is '{label}'; it must be 0 (benign) or 1 (malignant)")
        return _LABELS[label]
    numbers = re.split(r"[\s;,|/]+", ratings)
    if not all(re.fullmatch(r"\d+", text) for text in numbers):
        raise ValueError("it has neither a label (0 or 1) nor ratings from 1 to 5, such as 3 4 4")
    return RULES[rule]([int(text) for text in numbers])


def _nodule(row: dict[str, str], centre: Centre, malignant: bool, split: str, table: str) -> Nodule:
    diameter = row.get("diameter_mm") or None
    if centre.scan is None:
        raise ValueError("it names no scan")
    return Nodule(
        name=centre.name,
        image=centre.scan,
        label=None,
        values={},
        annotated=(),
        patient=row.get("patient") or centre.scan.name,
        split=split,
        source={"data": row.get("data") or table, "licence": row.get("licence") or "not stated"},
        centre=centre.point,
        malignant=malignant,
        diameter_mm=None if diameter is None else float(diameter),
    )
