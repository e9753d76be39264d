"""Compare one prediction with one reference, label by label."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import neg

import numpy as np

from Med3DCore.errors import DataError, SettingError
from Med3DCore.evaluation.alignment import on_one_grid
from Med3DCore.evaluation.labels import LabelPair, labels_present, pair_by_name, with_overlaps
from Med3DCore.evaluation.overlap import Overlap, measure_overlap
from Med3DCore.evaluation.surface import measure_surfaces
from Med3DCore.geometry import Geometry
from Med3DCore.volume import Volume


@dataclass(frozen=True)
class Measure:
    """How to show a measure and which of two values is worse.

    Args:
        title: Head of its column.
        decimals: Digits that mean something.
        badness: Turns a value into a number that grows as the result gets worse. None: no value is better.
    """

    title: str
    decimals: int
    badness: Callable[[float], float] | None


MEASURES: dict[str, Measure] = {
    "dice": Measure("Dice", 4, neg),
    "jaccard": Measure("Jaccard", 4, neg),
    "voe": Measure("VOE", 4, float),
    "rvd": Measure("RVD", 4, abs),
    "precision": Measure("precision", 4, neg),
    "sensitivity": Measure("sensitivity", 4, neg),
    "assd_mm": Measure("ASSD mm", 2, float),
    "rmsd_mm": Measure("RMSD mm", 2, float),
    "mssd_mm": Measure("MSSD mm", 2, float),
    "hd95_mm": Measure("HD95 mm", 2, float),
    "nsd": Measure("NSD", 4, neg),
    "volume_ml": Measure("ml", 1, None),
    "reference_volume_ml": Measure("reference ml", 1, None),
}


@dataclass(frozen=True)
class LabelReport:
    """How well one label was segmented in one case.

    Args:
        overlap: Voxel counts on the reference's grid.
        measures: A value for each of ``MEASURES``; nan or inf where undefined.
    """

    overlap: Overlap
    measures: dict[str, float]


@dataclass(frozen=True)
class CaseReport:
    """How well one case was segmented.

    Args:
        case: Name of the case.
        labels: A report for each label.
        warnings: Sentences on what to know about the numbers.
    """

    case: str
    labels: dict[str, LabelReport]
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """Plain values for JSON; undefined measures are still nan or inf."""
        labels = {
            name: {
                **report.measures,
                "voxels": report.overlap.prediction,
                "reference_voxels": report.overlap.reference,
                "shared_voxels": report.overlap.intersection,
            }
            for name, report in self.labels.items()
        }
        return {"case": self.case, "warnings": list(self.warnings), "labels": labels}


def evaluate(
    prediction: Volume,
    reference: Volume,
    labels: Mapping[str, int] | Sequence[LabelPair | str] | None = None,
    nsd_tolerance_mm: float = 2.0,
    ignore_value: int | None = None,
    case: str | None = None,
    background_beyond: bool = False,
) -> CaseReport:
    """Measure overlap and surface distances of every label, in millimetres and in the patient's space.

    A prediction on another grid is compared at the reference's voxels. With ``ignore_value``, voxels of the reference
    that have it are unknown: they count for nobody, and a border against them is no surface.

    Args:
        prediction: Label map (a LabelMap, or a Volume of whole numbers).
        reference: Label map of the truth.
        labels: What to compare: value by name (the same value in both maps), label pairs, or names of labels of the
            maps. None: every label that has a voxel in the reference.
        nsd_tolerance_mm: Largest surface distance in mm that counts as agreement in NSD.
        ignore_value: Value of the reference that means unknown, or None.
        case: Name of the case; the prediction's by default.
        background_beyond: Whether the reference is background beyond its grid, as for a ``.seg.nrrd``, which Slicer
            saves cropped to its segments. Otherwise a prediction there is not judged, with a warning.

    Raises:
        DataError: A map does not hold whole numbers, the volumes do not overlap in space, or they share no label.
        SettingError: A label is not in either map, given twice, or is the ignored value; or the tolerance is not a
            distance.

    Examples:
        >>> from Med3DCore.geometry import Geometry
        >>> volume = Volume(np.ones((4, 4, 4), np.uint8), Geometry((4, 4, 4)))
        >>> evaluate(volume, volume, {"liver": 1}).labels["liver"].measures["dice"]
        1.0
    """
    if not 0 <= nsd_tolerance_mm < np.inf:
        raise SettingError(f"The NSD tolerance must be 0 mm or more, not {nsd_tolerance_mm}.")
    for role, volume in (("prediction", prediction), ("reference", reference)):
        if volume.array.dtype.kind not in "bui":
            raise DataError(
                f"The {role} {volume.name} holds {volume.array.dtype} numbers; a label map needs whole numbers, so "
                "save it as uint8."
            )
    pairs = _pairs(prediction, reference, labels, ignore_value)
    warnings = _doubts(pairs, prediction, reference, ignore_value)
    predicted, true, geometry, remarks = on_one_grid(prediction, reference, ignore_value, background_beyond)
    reports = {
        pair.name: _evaluate_label(pair, predicted, true, geometry, nsd_tolerance_mm, ignore_value) for pair in pairs
    }
    empty = [
        f"Neither the prediction {prediction.name} nor the reference {reference.name} has a voxel of '{name}', which "
        "counts as perfect; check its value."
        for name, report in reports.items()
        if report.overlap.prediction == report.overlap.reference == 0
    ]
    return CaseReport(case or prediction.name, reports, (*warnings, *remarks, *empty))


def _evaluate_label(
    pair: LabelPair,
    prediction: np.ndarray,
    reference: np.ndarray,
    geometry: Geometry,
    nsd_tolerance_mm: float,
    ignore_value: int | None,
) -> LabelReport:
    masks = _mask(prediction, pair.prediction), _mask(reference, pair.reference)
    known = None if ignore_value is None else reference != ignore_value
    overlap = measure_overlap(*masks, known)
    surfaces = measure_surfaces(*masks, geometry.spacing, known)
    measures = {
        "dice": overlap.dice,
        "jaccard": overlap.jaccard,
        "voe": overlap.voe,
        "rvd": overlap.rvd,
        "precision": overlap.precision,
        "sensitivity": overlap.sensitivity,
        "assd_mm": surfaces.assd,
        "rmsd_mm": surfaces.rmsd,
        "mssd_mm": surfaces.mssd,
        "hd95_mm": surfaces.hd95,
        "nsd": surfaces.nsd(nsd_tolerance_mm),
        "volume_ml": overlap.prediction * geometry.voxel_volume_ml,
        "reference_volume_ml": overlap.reference * geometry.voxel_volume_ml,
    }
    return LabelReport(overlap, measures)


def _mask(array: np.ndarray, values: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(array.shape, bool)
    for value in values:
        mask |= array == value
    return mask


def _cure(name: str, there: Sequence[str]) -> str:
    """What to do about a name that nobody has, where these labels are there."""
    number = re.fullmatch(r"label_(\d+)", there[0]) if there else None
    if number:
        return f"values without names have to be said, such as --labels {name}={number[1]}"
    return f"check the name: there is {', '.join(there)}" if there else "check the name"


def _pairs(
    prediction: Volume,
    reference: Volume,
    labels: Mapping[str, int] | Sequence[LabelPair | str] | None,
    ignore_value: int | None,
) -> list[LabelPair]:
    if labels is None:
        labels = [pair_by_name(name, prediction, reference) for name in labels_present(reference, ignore_value)]
        if not labels:
            raise DataError(f"The reference {reference.name} has no labelled voxel; name the labels to compare.")
    elif isinstance(labels, Mapping):
        labels = [LabelPair(name, (value,), (value,)) for name, value in labels.items()]
    pairs: list[LabelPair] = []
    for label in labels:
        pair = pair_by_name(label, prediction, reference) if isinstance(label, str) else label
        if isinstance(label, str) and not (pair.prediction or pair.reference):
            raise SettingError(
                f"Neither the prediction {prediction.name} nor the reference {reference.name} has a label called "
                f"'{label}'; {_cure(label, labels_present(reference, ignore_value))}."
            )
        if ignore_value in pair.reference:
            raise SettingError(
                f"'{pair.name}' has the value {ignore_value}, which is to be ignored; choose one of both."
            )
        if any(pair.name == other.name for other in pairs):
            raise SettingError(f"The label '{pair.name}' was given twice; every label needs its own name.")
        pairs.append(with_overlaps(pair, prediction, reference))
    return pairs


def _doubts(pairs: list[LabelPair], prediction: Volume, reference: Volume, ignore_value: int | None) -> list[str]:
    """What may be wrong with the choice of labels, as sentences."""
    if not any(pair.prediction for pair in pairs):
        names = ", ".join(pair.name for pair in pairs)
        raise DataError(
            f"The prediction {prediction.name} has none of the labels {names}; say which values belong together, "
            "such as --labels liver=1."
        )
    doubts = []
    for pair in pairs:
        for role, volume, values in (
            ("prediction", prediction, pair.prediction),
            ("reference", reference, pair.reference),
        ):
            if not values:
                doubts.append(f"The {role} {volume.name} has no label called '{pair.name}'; it counts as empty.")
    if ignore_value is None and len(pairs) > 1 and any(255 in pair.reference for pair in pairs):
        doubts.append(
            f"The value 255 of the reference {reference.name} was judged as a label; if it means unknown, ignore it "
            "(--ignore 255)."
        )
    return doubts
