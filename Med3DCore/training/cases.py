"""Training cases: which images and labels there are, what is annotated in each, and their preprocessed arrays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.geometry import Geometry
from Med3DCore.io import read_label_map, read_volume
from Med3DCore.preprocessing import resample, world_grid
from Med3DCore.preprocessing.intensity import Statistics
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.volume import Volume

UNKNOWN = 255
"""In a label image: may be an organ that nobody labelled. In a target: teaches nothing."""

SPLITS = ("training", "validation")


@dataclass(frozen=True)
class Case:
    """One image of a data set.

    Args:
        name: Unique name.
        image: Image file.
        label: Label file on the same grid, or None when the case only shows that organs are absent.
        values: Label name to the value that stands for it in the label file.
        annotated: Names of the labels that were annotated. A voxel of another value is background for these; for all
            other labels a voxel of value 255 is unknown.
        patient: Cases of one patient never cross a split.
        split: ``"training"`` or ``"validation"``.
        absent: Names of the labels that are known not to be in the image at all.
        weight: How often the patient is drawn for training, beside another's 1.
        source: Data set and licence, for the model's card.
    """

    name: str
    image: Path
    label: Path | None
    values: dict[str, int]
    annotated: tuple[str, ...]
    patient: str
    split: str = "training"
    absent: tuple[str, ...] = ()
    weight: float = 1.0
    source: dict = field(default_factory=dict)


def read_cases(path: Path) -> list[Case]:
    """Read a data set description: ``{"cases": [{"name", "image", "label", "values", ...}]}``.

    Files are relative to the description's own folder.

    Raises:
        DataError: The description or a file in it is missing, or a patient is in both splits.
    """
    path = Path(path)
    try:
        entries = json.loads(path.read_text())["cases"]
        cases = [_case(entry, path.parent) for entry in entries]
    except OSError as error:
        raise DataError(f"The data set description {path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is not a data set description: {error!r}.") from error
    _check(cases, path)
    return cases


def _case(entry: dict, folder: Path) -> Case:
    label = entry.get("label")
    return Case(
        name=entry["name"],
        image=folder / entry["image"],
        label=folder / label if label else None,
        values={str(k): int(v) for k, v in entry.get("values", {}).items()},
        annotated=tuple(entry.get("annotated", entry.get("values", {}))),
        patient=entry.get("patient", entry["name"]),
        split=entry.get("split", "training"),
        absent=tuple(entry.get("absent", ())),
        weight=float(entry.get("weight", 1.0)),
        source=entry.get("source", {}),
    )


def _check(cases: Sequence[Case], path: Path) -> None:
    if not cases:
        raise DataError(f"{path} lists no cases.")
    seen: dict[str, str] = {}
    names: set[str] = set()
    for case in cases:
        if case.name in names:
            raise DataError(f"{path} lists the case '{case.name}' twice.")
        names.add(case.name)
        for file in (case.image, case.label):
            if file is not None and not file.is_file():
                raise DataError(f"Case '{case.name}': the file {file} is missing.")
        if not case.weight > 0:
            raise DataError(f"Case '{case.name}': the weight is {case.weight}; it must be greater than 0.")
        if case.split not in SPLITS:
            raise DataError(f"Case '{case.name}': the split is '{case.split}'; it must be one of {', '.join(SPLITS)}.")
        if seen.setdefault(case.patient, case.split) != case.split:
            raise DataError(
                f"Patient '{case.patient}' is in both splits (case '{case.name}'); results would look too good."
            )


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """A case on the grid of the network.

    Args:
        case: Where it comes from.
        image: Volume ``[z, y, x]`` float32 in the scan's own units, clipped a little outside of what the network sees.
        target: uint8 ``[c, z, y, x]``, a channel per label: 1 inside, 0 outside, 255 unknown.
        geometry: Their grid.
        statistics: How this scan is normalised.
    """

    case: Case
    image: np.ndarray
    target: np.ndarray
    geometry: Geometry
    statistics: Statistics


def prepare_case(
    case: Case, preprocessing: Preprocessing, labels: Sequence[str], headroom: float = 60.0
) -> PreparedCase:
    """Resample a case's image and label to the network's grid.

    Args:
        case: The case.
        preprocessing: The model's preprocessing.
        labels: Label name of each output channel.
        headroom: How far outside of the model's intensity range values are kept, so that augmentation may shift them.

    Raises:
        DataError: Image and label do not lie on the same grid, or the label has other values than described.
    """
    volume = read_volume(case.image)
    grid = world_grid(volume.geometry, preprocessing.spacing)
    statistics = preprocessing.intensity.measure(volume)
    clip = (statistics.low - headroom, statistics.high + headroom)
    image = resample(volume.array, volume.geometry, grid, clip, statistics.floor)
    label = None if case.label is None else _read_label(case, volume)
    target = np.stack([_target(case, name, label, volume.geometry, grid) for name in labels])
    return PreparedCase(case, image, target, grid, statistics)


def _read_label(case: Case, volume: Volume) -> np.ndarray:
    label = read_label_map(case.label)
    if not label.geometry.is_close(volume.geometry, tolerance_mm=0.1):
        raise DataError(
            f"Case '{case.name}': image and label do not lie on the same grid; resample one onto the other."
        )
    allowed = {0, UNKNOWN, *case.values.values()}
    found = {int(v) for v in np.unique(label.array)}
    if not found <= allowed:
        raise DataError(f"Case '{case.name}': the label has values {sorted(found - allowed)} that nobody described.")
    return label.array


def _target(case: Case, name: str, label: np.ndarray | None, source: Geometry, grid: Geometry) -> np.ndarray:
    if name in case.absent:
        return np.zeros(grid.shape, np.uint8)
    if label is None:
        return np.full(grid.shape, UNKNOWN, np.uint8)
    inside = np.zeros(grid.shape, np.uint8)
    if name in case.annotated:
        inside[_share(label == case.values[name], source, grid) > 0.5] = 1
    else:
        inside[_share(label == UNKNOWN, source, grid) > 1e-3] = UNKNOWN
    return inside


def _share(mask: np.ndarray, source: Geometry, grid: Geometry) -> np.ndarray:
    """How much of each voxel of the grid the mask fills, 0..1."""
    return resample(mask.astype(np.uint8), source, grid)
