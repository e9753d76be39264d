"""How good a detector is: sensitivity at 0.5, 1, 2 and 4 false alarms a picture, with intervals, and by size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.evaluation.classification import Estimate
from Med3DCore.evaluation.froc import RATES, Detections, Froc, froc, pooled

SIZES_MM = (0.0, 6.0, 10.0, 20.0, float("inf"))
"""Borders of the groups by longest diameter."""

_RESAMPLES = 1000


@dataclass(frozen=True)
class DetectionReport:
    """How well lesions were found.

    Args:
        pictures: Key slices.
        patients: Whose they are.
        lesions: In all of them.
        sensitivity: ``{false alarms a picture: share of lesions found}``, with the middle 95 % of those of patients
            drawn with replacement.
        by_size: ``{group: (lesions, {false alarms a picture: share found})}``; the alarms are those of all.
    """

    pictures: int
    patients: int
    lesions: int
    sensitivity: dict[float, Estimate]
    by_size: dict[str, tuple[int, dict[float, float]]]

    @property
    def mean(self) -> float:
        """Mean sensitivity over the rates."""
        return float(np.mean([each.value for each in self.sensitivity.values()]))

    def to_dict(self) -> dict:
        """Plain values for JSON."""
        return {
            "pictures": self.pictures,
            "patients": self.patients,
            "lesions": self.lesions,
            "mean_sensitivity": round(self.mean, 4),
            "sensitivity": {
                f"{rate:g}": [None if v is None else round(v, 4) for v in (each.value, each.low, each.high)]
                for rate, each in self.sensitivity.items()
            },
            "by_diameter_mm": {
                name: {"lesions": count, "sensitivity": {f"{rate:g}": round(v, 4) for rate, v in found.items()}}
                for name, (count, found) in self.by_size.items()
            },
        }


def evaluate_detection(
    pictures: Sequence[Detections],
    diameters_mm: Sequence[Sequence[float]],
    patients: Sequence[str],
    seed: int = 0,
) -> DetectionReport:
    """Measure what was found in held-out pictures.

    Args:
        pictures: What was found, and what there is.
        diameters_mm: Of the lesions of each picture; nan where nobody measured.
        patients: Whose each picture is.
        seed: The same seed gives the same intervals.

    Raises:
        DataError: There is no picture, or no lesion in any.
    """
    whole = froc(pictures)
    if not len(whole.hits):
        raise DataError("No held-out picture shows a lesion, so there is no sensitivity.")
    names = list(dict.fromkeys(patients))
    own = [froc([p for p, who in zip(pictures, patients, strict=True) if who == name]) for name in names]
    lows, highs = _interval(own, seed)
    sensitivity = {
        rate: Estimate(value, low, high, len(whole.hits))
        for rate, value, low, high in zip(RATES, whole.sensitivity(), lows, highs, strict=True)
    }
    return DetectionReport(
        len(pictures), len(names), len(whole.hits), sensitivity, _by_size(whole, np.concatenate([*diameters_mm, []]))
    )


def _interval(own: Sequence[Froc], seed: int) -> tuple[list[float | None], list[float | None]]:
    """Low and high end of the middle 95 % at each rate; None for a single patient."""
    if len(own) < 2:
        return [None] * len(RATES), [None] * len(RATES)
    rng = np.random.default_rng(seed)
    drawn = [pooled([own[i] for i in rng.integers(len(own), size=len(own))]) for _ in range(_RESAMPLES)]
    found = np.array([each.sensitivity() for each in drawn if len(each.hits)])
    low, high = np.percentile(found, (2.5, 97.5), axis=0)
    return low.tolist(), high.tolist()


def _by_size(whole: Froc, diameters: np.ndarray) -> dict[str, tuple[int, dict[float, float]]]:
    groups = {}
    for low, high in pairwise(SIZES_MM):
        of = (diameters >= low) & (diameters < high)
        if of.any():
            name = f"{low:g} and more" if np.isinf(high) else f"{low:g} to {high:g}"
            groups[name] = (int(of.sum()), dict(zip(RATES, whole.sensitivity(of=of), strict=True)))
    return groups
