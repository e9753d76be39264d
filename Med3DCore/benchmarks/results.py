"""What an evaluation of a task found: a row for each case, figures with intervals, and what is drawn of them."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from Med3DCore.errors import DataError, fault_in_settings
from Med3DCore.evaluation.classification import Estimate
from Med3DCore.io import written_beside

CASES, RESULTS = "cases.csv", "results.json"

Curve = tuple[list[float], list[float]]


@dataclass(frozen=True)
class Results:
    """How well a model does a task on the patients that were held out.

    Args:
        task: Name of the task.
        model: Name and version of the model.
        patients: How many were measured.
        rows: For each case, and what is judged in it, plain values by column.
        figures: Name, such as ``"dice liver"``, to the figure and its interval.
        boxes: What a box plot shows: a row's title to the values of the cases.
        curves: What a curve plot shows: name to x and y.
        axes: Titles of the x and y axis of the curves.
        notes: Sentences on what to know about the figures.
    """

    task: str
    model: str
    patients: int
    rows: list[dict[str, Any]]
    figures: dict[str, Estimate]
    boxes: dict[str, list[float]] = field(default_factory=dict)
    curves: dict[str, Curve] = field(default_factory=dict)
    axes: tuple[str, str] = ("", "")
    notes: tuple[str, ...] = ()


def write_results(results: Results, folder: Path) -> tuple[Path, Path]:
    """Write ``cases.csv`` and ``results.json``; what is not defined is left empty.

    Returns:
        Both files.

    Raises:
        OutputError: A file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = list(dict.fromkeys(key for row in results.rows for key in row))
    with written_beside(folder / CASES, ".csv") as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _plain(value) for key, value in row.items()} for row in results.rows)
    with written_beside(folder / RESULTS, ".json") as temporary:
        temporary.write_text(json.dumps(_defined(asdict(results)), indent=1) + "\n", encoding="utf-8")
    return folder / CASES, folder / RESULTS


def read_results(folder: Path) -> Results:
    """What :func:`write_results` wrote.

    Raises:
        DataError: It is missing or damaged.
    """
    file = folder / RESULTS
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        figures = {name: Estimate(**figure) for name, figure in values.pop("figures").items()}
        curves = {name: (x, y) for name, (x, y) in values.pop("curves").items()}
        axes, notes = tuple(values.pop("axes")), tuple(values.pop("notes"))
        return Results(**values, figures=figures, curves=curves, axes=axes, notes=notes)
    except OSError:
        raise DataError(f"{folder} holds no {RESULTS}; run `med3d task evaluate` first.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is damaged ({fault_in_settings(error)}); run `med3d task evaluate` again.") from None


def _plain(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else value


def _defined(value: Any) -> Any:
    """Values for JSON, in which numbers that are not finite are null."""
    if isinstance(value, Mapping):
        return {key: _defined(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_defined(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
