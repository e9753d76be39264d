"""DICOM SEG and RTSTRUCT of two folders that were drawn on the same series, by the UIDs that both name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry
from Med3DCore.io.dicom import Series
from Med3DCore.io.dicom_results import dicom_labels_among, dicom_references, series_among


class SameSeries(NamedTuple):
    """Two DICOM labels of one series; its grid, if it lies in one of both folders."""

    prediction: Path
    reference: Path
    grid: Geometry | None


def dicom_pairs(prediction: Path, reference: Path) -> tuple[list[SameSeries], set[Path]]:
    """The DICOM labels at any depth of two folders, paired.

    Returns:
        The pairs in the order of the references, and the labels that stay alone.

    Raises:
        DataError: Several labels of one folder were drawn on one series.
        VolumeError: A label is damaged.
    """
    files = {folder: _files_below(folder) for folder in (prediction, reference)}
    labels = {
        folder: {path: dicom_references(path) for path in dicom_labels_among(inside)}
        for folder, inside in files.items()
    }
    pairs: dict[Path, Path] = {}  # reference to prediction
    for path, drawn in labels[reference].items():
        alike = [other for other, other_drawn in labels[prediction].items() if drawn.same_series(other_drawn)]
        again = next((known for known, other in pairs.items() if other in alike), None)
        if len(alike) > 1 or again is not None:
            one, other = (path, again) if again is not None else alike[:2]
            raise DataError(f"{one} and {other} were drawn on the same series; keep one of them.")
        pairs.update((path, other) for other in alike)
    series = series_among([*files[prediction], *files[reference]]) if pairs else []
    found = [SameSeries(other, path, _grid(labels[reference][path].meant(series))) for path, other in pairs.items()]
    return found, {*labels[prediction], *labels[reference]} - {*pairs, *pairs.values()}


def _grid(series: Series | None) -> Geometry | None:
    return series.geometry if series is not None and series.problem is None else None


def _files_below(folder: Path) -> list[Path]:
    return [
        Path(place, name) for place, _, names in os.walk(folder) for name in sorted(names) if not name.startswith(".")
    ]
