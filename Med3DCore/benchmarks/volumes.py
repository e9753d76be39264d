"""Classes or labels of whole scans, from a table: read, divided, and measured on those held out.

A task's ``data`` has ``images`` (one pattern), ``table`` (the pattern of the table's file, which may have the images'
fields, so that each part of a data set can have its own), ``row`` (the table's column that names the image, and what
stands in it) and perhaps ``class_column``. With it each scan is of the class whose name or value stands in that column;
without it each label is a column of its own, in which the label's value means that the scan shows it, an empty cell
that nobody knows, and anything else that it does not. ``test`` names the data set's own test part by a field.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from Med3DCore.benchmarks.held_out import Divided, divide
from Med3DCore.benchmarks.patterns import fields_of, filled, find_files
from Med3DCore.benchmarks.task import BenchmarkTask, Values, check_object
from Med3DCore.errors import DataError, SettingError
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import UNKNOWN
from Med3DCore.training.cases.description import check_cases
from Med3DCore.training.classification.classified import Scan
from Med3DCore.training.data_sets.rows import read_rows

Table = Mapping[str, tuple[int, Mapping[str, str]]]
"""What names an image to its line and cells."""


def divided_scans(task: BenchmarkTask, folder: Path, progress: Progress | None = None) -> Divided[Scan]:
    """The scans of a task's data set, those to learn from and those to test on.

    Raises:
        SettingError: The task's ``data`` is not as it must be.
        DataError: The data set is not as the task says.
    """
    progress = progress or Progress()
    pattern = _checked(task)
    data = task.data
    tables: dict[Path, Table] = {}
    ((column, cell),) = data["row"].items()
    scans: list[Scan] = []
    tested, nameless = set[str](), 0
    for image, fields in find_files(folder, pattern, progress):
        file = Path(fields[""], filled(data["table"], fields))
        if file not in tables:
            tables[file] = _table(file, column)
        entry = tables[file].get(filled(cell, fields))
        if entry is None:
            nameless += 1
            continue
        scan = _scan(task, image, fields, file, *entry)
        scans.append(scan)
        if any(fields[name] == value for name, value in data.get("test", {}).items()):
            tested.add(scan.patient)
    if not scans:
        raise DataError(f"No image of {folder} has a row in its table {', '.join(map(str, tables))}.")
    if nameless:
        progress.warn(f"{nameless} images have no row in their table; they are left out.")
    check_cases(scans, folder, progress)
    kinds = {scan.patient: scan.kind for scan in scans} if "class_column" in data or len(task.labels) == 1 else {}
    return divide(scans, task.split, kinds, tested or None)


def _checked(task: BenchmarkTask) -> str:
    """The pattern of the images, if all of ``data`` is as it must be."""
    needed = {"images": "an object", "table": "a text", "row": "an object"}
    optional = {**dict.fromkeys(("name", "patient", "modality", "class_column"), "a text"), "test": "an object"}
    data = task.data
    try:
        check_object(data, "'data'", needed, optional)
        for key in ("images", "row", "test"):
            part: dict[str, Any] = data.get(key, {})
            check_object(part, f"'{key}'", dict.fromkeys(part, "a text"), {})
        for key, example in (("images", "CT"), ("row", "VolumeName")):
            if len(data[key]) != 1:
                raise ValueError(f'\'{key}\' must name one thing, such as {{"{example}": "{{case}}.nii.gz"}}')
        (pattern,), (cell,) = data["images"].values(), data["row"].values()
        others = [(key, str(data[key])) for key in ("table", "name", "patient") if key in data]
        for key, text in [*others, ("row", cell)]:
            if unknown := fields_of(text) - fields_of(pattern):
                raise ValueError(f"'{key}' has the field {{{unknown.pop()}}}, which 'images' lacks")
        if unknown := set(data.get("test", {})) - fields_of(pattern):
            raise ValueError(f"'test' names the field {{{unknown.pop()}}}, which 'images' lacks")
        if "name" not in data and "case" not in fields_of(pattern):
            raise ValueError("'name' is missing; it says how a scan is called, such as \"{volume}\"")
    except ValueError as error:
        raise SettingError(f"The task {task.file}: {error}.") from None
    return str(pattern)


def _table(file: Path, column: str) -> Table:
    columns, rows = read_rows(file)
    if column.lower() not in columns:
        raise DataError(f"The table {file} has no column '{column}', which names the images.")
    found: dict[str, tuple[int, Mapping[str, str]]] = {}
    for number, row in enumerate(rows, start=2):
        name = row[column.lower()]
        if name in found:
            raise DataError(f"{file}, line {number}: '{name}' is there twice; leave one of its rows.")
        found[name] = (number, row)
    return found


def _scan(
    task: BenchmarkTask, image: Path, fields: Mapping[str, str], file: Path, number: int, row: Mapping[str, str]
) -> Scan:
    data, labels = task.data, task.labels
    name = data.get("name", "{case}")
    try:
        shown = _of_class(row, data["class_column"], labels) if "class_column" in data else _of_labels(row, labels)
    except ValueError as error:
        raise DataError(f"{file}, line {number}: {error}.") from None
    return Scan(
        name=filled(name, fields),
        image=image,
        label=None,
        values={},
        annotated=(),
        patient=filled(data.get("patient", name), fields),
        source={"data": task.source["data"], "licence": task.source["licence"]},
        modality=data.get("modality", "CT"),
        classes=tuple(labels),
        shown=shown,
    )


def _of_class(row: Mapping[str, str], column: str, labels: Mapping[str, Values]) -> tuple[int, ...]:
    """One class, by its name or value."""
    cell = _cell(row, column)
    wanted = [name for name, value in labels.items() if cell.lower() == name.lower() or _is(cell, value)]
    if len(wanted) != 1:
        raise ValueError(f"'{cell}' in the column '{column}' is none of the classes {', '.join(labels)}")
    return tuple(int(name == wanted[0]) for name in labels)


def _of_labels(row: Mapping[str, str], labels: Mapping[str, Values]) -> tuple[int, ...]:
    """Any of the labels, each in its column."""
    shown = []
    for name, value in labels.items():
        cell = _cell(row, name)
        if cell and not _is_number(cell):
            raise ValueError(f"'{cell}' in the column '{name}' is no number")
        shown.append(int(_is(cell, value)) if cell else UNKNOWN)
    return tuple(shown)


def _cell(row: Mapping[str, str], column: str) -> str:
    if column.lower() not in row:
        raise ValueError(f"the table has no column '{column}'")
    return row[column.lower()]


def _is(cell: str, value: Values) -> bool:
    return _is_number(cell) and float(cell) in np.atleast_1d(value).tolist()


def _is_number(cell: str) -> bool:
    try:
        return bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def counted(scans: Sequence[Scan]) -> list[str]:
    """How many scans show each class or label, and of how many that is unknown; a line each."""
    lines = []
    for column, name in enumerate(scans[0].classes):
        values = [scan.shown[column] for scan in scans]
        unknown = values.count(UNKNOWN)
        more = f", unknown in {unknown}" if unknown else ""
        lines.append(f"{name}: in {values.count(1)} of {len(scans)} scans{more}")
    return lines
