"""Who is held out in TotalSegmentator's data set: its table ``meta.csv`` says it for each case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from Med3DCore.training.cases.case import Case
from Med3DCore.training.data_sets.rows import read_rows
from Med3DCore.training.data_sets.table import LEFT_OUT, SPLITS_BY_NAME


def in_their_splits(cases: Sequence[Case], folder: Path, warn: Callable[[str], None]) -> list[Case]:
    """Cases with the split that ``meta.csv`` gives them (columns ``image_id`` and ``split``); as they are without one.

    Args:
        cases: The cases of the folder; each is named as its own folder.
        folder: Where the table is.
        warn: Told how many are of the split "test", which are left out.

    Raises:
        DataError: The table cannot be read.
    """
    table = folder / "meta.csv"
    if not table.is_file():
        return list(cases)
    columns, rows = read_rows(table)
    if not {"image_id", "split"} <= set(columns):
        return list(cases)
    splits = {row["image_id"]: row["split"].lower() for row in rows}
    kept = [case for case in cases if splits.get(case.name) not in LEFT_OUT]
    if len(kept) < len(cases):
        warn(f"{len(cases) - len(kept)} cases of {table} are of the split 'test'; they are left out.")
    return [
        replace(case, split=SPLITS_BY_NAME.get(splits[case.name], case.split)) if case.name in splits else case
        for case in kept
    ]
