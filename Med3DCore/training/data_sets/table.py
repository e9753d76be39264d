"""Data sets as a table: a CSV file with a row for each image.

Columns: ``image`` and ``label`` (files, relative to the table), and, where wanted, ``name``, ``patient``, ``split``
(training, validation; test is left out), ``domain``, ``modality``, ``values`` (``liver=1 lungs=2``, several values as
``liver=1+2``), ``annotated`` and ``absent`` (label names), ``ignore``, ``weight``, ``data`` and ``licence``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from Med3DCore.errors import DataError
from Med3DCore.io.files import ending_of
from Med3DCore.io.label_names import our_name, slug
from Med3DCore.progress import Progress
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.description import case_from_dict
from Med3DCore.training.data_sets.names import Meanings, OwnLabels, own_labels, parse_values
from Med3DCore.training.data_sets.rows import read_rows
from Med3DCore.training.data_sets.strangers import Strangers

_COLUMNS = (
    *("image", "label", "name", "patient", "split", "domain", "modality"),
    *("values", "annotated", "absent", "ignore", "weight", "data", "licence"),
)
SPLITS_BY_NAME = {"": "training", "train": "training", "val": "validation", "valid": "validation"}
LEFT_OUT = ("test", "testing")


def table_cases(path: Path, meanings: Meanings, warn: Callable[[str], None], progress: Progress) -> list[Case]:
    """The cases of a CSV file; separated by commas, semicolons or tabs.

    Args:
        path: The file.
        meanings: What label files mean where the table has no ``values``.
        warn: Told what is left out.
        progress: May cancel.

    Raises:
        DataError: It cannot be read, has an unknown or missing column, or a row makes no sense.
    """
    cases, left_out, strangers = [], 0, Strangers()
    for number, row in enumerate(_rows(path), start=2):
        progress.check()
        split = row["split"].lower()
        if split in LEFT_OUT:
            left_out += 1
            continue
        try:
            cases.append(_case({**row, "split": SPLITS_BY_NAME.get(split, split)}, path.parent, meanings, strangers))
        except ValueError as error:
            raise DataError(f"{path}, line {number}: {error}.") from None
    if left_out:
        warn(f"{left_out} cases of {path} are of the split 'test'; they are left out.")
    strangers.tell(path.parent, warn)
    return cases


def _rows(path: Path) -> list[dict[str, str]]:
    """The rows, with every column, as text without blanks around it."""
    columns, rows = read_rows(path)
    unknown = [name for name in columns if name not in _COLUMNS]
    if "image" not in columns or unknown:
        wrong = f"has an unknown column '{unknown[0]}'" if unknown else "has no column 'image'"
        raise DataError(f"The table {path} {wrong}; its first line may name: {', '.join(_COLUMNS)}.")
    return [{name: row.get(name, "") for name in _COLUMNS} for row in rows if row["image"]]


def _case(row: dict[str, str], folder: Path, meanings: Meanings, strangers: Strangers) -> Case:
    image = Path(row["image"])
    name = row["name"] or image.name[: len(image.name) - len(ending_of(image))]
    label = folder / row["label"] if row["label"] else None
    values, annotated = parse_values(row["values"]), _names(row["annotated"])
    said = own_labels(label, meanings.names) if not values and label and label.exists() else OwnLabels({}, ())
    if said.values:
        values, annotated = dict(said.values), annotated or list(said.annotated)
        strangers.count(name for name in said.unknown if slug(name) not in annotated)
    values = values or dict(meanings.values)
    if row["label"] and not values:
        raise ValueError("it does not say what the label values mean; write such as liver=1 in the column 'values'")
    entry = {
        **{key: row[key] for key in ("image", "label", "split", "domain", "modality")},
        "name": name,
        "patient": row["patient"] or name,
        "values": values,
        "annotated": annotated or ([] if said.values else list(values)),
        "absent": _names(row["absent"]),
        "weight": row["weight"] or 1.0,
        "ignore": row["ignore"] or None,
        "source": {key: row[key] for key in ("data", "licence") if row[key]},
    }
    return case_from_dict(entry, folder)


def _names(text: str) -> list[str]:
    return [our_name(name) for name in re.split(r"[;,|\s]+", text) if name]
