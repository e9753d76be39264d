"""What many cases say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite, isnan, nan

import numpy as np

from Med3DCore.evaluation.overlap import Overlap
from Med3DCore.evaluation.report import MEASURES, CaseReport


@dataclass(frozen=True)
class MeasureSummary:
    """One measure of one label over all cases.

    Args:
        mean: Mean of the defined values; nan if there is none.
        sd: Their sample standard deviation (n - 1); nan for fewer than two.
        min: Smallest defined value.
        max: Largest defined value.
        n: Number of defined values.
        undefined: Number of cases whose value is nan or infinite; they are counted here and averaged nowhere.
        worst_case: Name of the case with the worst value, an infinite one included; None if no value is worse than
            another.
    """

    mean: float
    sd: float
    min: float
    max: float
    n: int
    undefined: int
    worst_case: str | None


@dataclass(frozen=True)
class LabelSummary:
    """One label over all cases.

    Args:
        cases: Number of cases with a report on the label.
        empty: Number of cases where neither map has it. They have Dice 1, which may flatter the mean.
        global_dice: Dice of the summed voxel counts (section C of papers.md), which large organs dominate.
        measures: A summary for each measure.
    """

    cases: int
    empty: int
    global_dice: float
    measures: dict[str, MeasureSummary]

    def to_dict(self) -> dict:
        """Plain values for JSON; undefined numbers are still nan."""
        return asdict(self)


def summarise(reports: Sequence[CaseReport]) -> dict[str, LabelSummary]:
    """Summarise each label over the cases that have it, in the order in which the labels first appear."""
    names = dict.fromkeys(name for report in reports for name in report.labels)
    return {name: _summarise_label(name, [report for report in reports if name in report.labels]) for name in names}


def _summarise_label(name: str, reports: Sequence[CaseReport]) -> LabelSummary:
    overlaps = [report.labels[name].overlap for report in reports]
    empty = sum(overlap.prediction == overlap.reference == 0 for overlap in overlaps)
    measures = {
        measure: _summarise_measure(measure, [(r.case, r.labels[name].measures[measure]) for r in reports])
        for measure in MEASURES
    }
    return LabelSummary(len(reports), empty, sum(overlaps, Overlap()).dice, measures)


def _summarise_measure(measure: str, by_case: Sequence[tuple[str, float]]) -> MeasureSummary:
    values = [value for _, value in by_case if isfinite(value)]
    badness = MEASURES[measure].badness
    ranked = [] if badness is None else [(badness(value), case) for case, value in by_case if not isnan(value)]
    return MeasureSummary(
        mean=float(np.mean(values)) if values else nan,
        sd=float(np.std(values, ddof=1)) if len(values) > 1 else nan,
        min=min(values, default=nan),
        max=max(values, default=nan),
        n=len(values),
        undefined=len(by_case) - len(values),
        worst_case=max(ranked)[1] if ranked and max(ranked)[0] > min(ranked)[0] else None,
    )
