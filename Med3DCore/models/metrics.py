"""A model's measured quality in few numbers: mean and worst of its held-out cases."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LabelSummary:
    """How well a label was found in the held-out cases.

    Args:
        label: Name of the label.
        cases: Number of cases that have a Dice.
        dice: Mean, 0 to 1.
        worst_dice: Of the worst case.
        worst_case: Name of that case.
        assd_mm: Mean distance of the surfaces in mm over the cases that have one, or None.
    """

    label: str
    cases: int
    dice: float
    worst_dice: float
    worst_case: str
    assd_mm: float | None


def summarise(metrics: dict) -> tuple[LabelSummary, ...]:
    """Summarise ``metrics`` of a package, ``{label: {case: {measure: value}}}``.

    The schema of ``model.json`` leaves metrics open, so whatever has another shape is left out.

    Examples:
        >>> summarise({"liver": {"a": {"dice": 0.75, "assd_mm": 2.0}, "b": {"dice": 0.25, "assd_mm": None}}})
        (LabelSummary(label='liver', cases=2, dice=0.5, worst_dice=0.25, worst_case='b', assd_mm=2.0),)
    """
    return tuple(summary for label, cases in metrics.items() if (summary := _summarise_label(label, cases)))


def _summarise_label(label: str, cases: Any) -> LabelSummary | None:
    dice, distances = dict(_values(cases, "dice")), dict(_values(cases, "assd_mm"))
    if not dice:
        return None
    worst = min(dice, key=dice.__getitem__)
    distance = sum(distances.values()) / len(distances) if distances else None
    return LabelSummary(label, len(dice), sum(dice.values()) / len(dice), dice[worst], worst, distance)


def _values(cases: Any, measure: str) -> Iterator[tuple[str, float]]:
    for name, values in cases.items() if isinstance(cases, dict) else ():
        value = values.get(measure) if isinstance(values, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield name, value
