"""What came of one training of a comparison."""

from __future__ import annotations

from dataclasses import dataclass

from Med3DCore.training.comparison.plan import Run

Curve = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a training.

    Args:
        run: Which.
        patients: How many it learned from.
        curve: Steps and score of the averaged weights at each validation.
        steps: Steps done.
        seconds: Time that they and the validations took.
        score: Of the last weights: mean Dice over the labels of their mean over the held-out cases; None if it broke
            off.
        scores: ``{label: {case: Dice}}`` of the last weights.
        broke: Why it broke off, or None.
    """

    run: Run
    patients: int
    curve: Curve
    steps: int
    seconds: float
    score: float | None
    scores: dict[str, dict[str, float]]
    broke: str | None = None
