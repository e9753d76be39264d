"""How good a yes-or-no classification is: accuracy, sensitivity, specificity, AUC, each with a 95 % interval.

Nodules of one patient are alike, so the interval of the AUC comes from drawing *patients* again and again (a bootstrap
by cluster). DeLong's formula takes every nodule for independent and gives too narrow an interval. Wilson's interval of
the proportions takes them so as well: it is exact enough for few cases and the field's habit, but read it as the
narrowest that it could be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from Med3DCore.errors import DataError

_Z = 1.959964  # Half width of a normal distribution's middle 95 %, in standard deviations.
_RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval.

    Args:
        value: 0 to 1; None where it is undefined.
        low: Lower end, or None where nothing can be said.
        high: Upper end, or None.
        n: Number of examples that it is computed from.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        if self.value is None:
            return "undefined"
        if self.low is None:
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class ClassificationReport:
    """How well examples were told apart.

    Args:
        n: Examples.
        positives: Those that truly are positive.
        patients: Patients that they come from.
        accuracy: Share that was called rightly.
        majority: Accuracy of always giving the commoner answer, which a useful classifier must beat.
        sensitivity: Share of the positives that was called positive.
        specificity: Share of the negatives that was called negative.
        auc: Chance that a positive has a higher score than a negative.
        warnings: Sentences on what to know about the numbers.
    """

    n: int
    positives: int
    patients: int
    accuracy: Estimate
    majority: float
    sensitivity: Estimate
    specificity: Estimate
    auc: Estimate
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """Plain values for JSON; what is undefined is None."""
        return {**asdict(self), "warnings": list(self.warnings)}


def evaluate_classification(
    scores: Sequence[float],
    truths: Sequence[bool],
    patients: Sequence[str],
    threshold: float = 0.5,
    seed: int = 0,
) -> ClassificationReport:
    """Measure a classification.

    Args:
        scores: Probability of being positive of each example.
        truths: Whether it is.
        patients: Whose it is.
        threshold: Score from which an example is called positive.
        seed: Seed of the bootstrap.

    Raises:
        DataError: There are no examples, or a score is no number.

    Examples:
        >>> evaluate_classification([0.9, 0.2, 0.6, 0.1], [True, False, False, False], "abcd").accuracy.value
        0.75
    """
    score, true = np.asarray(scores, dtype=np.float64), np.asarray(truths, dtype=bool)
    if score.size == 0:
        raise DataError("There is no example to measure the classification on.")
    if not np.isfinite(score).all():
        raise DataError("The classifier gave a score that is no number; it cannot be used as it is.")
    called = score >= threshold
    positives = int(true.sum())
    area = auc_with_interval(score, true, patients, seed)
    return ClassificationReport(
        n=true.size,
        positives=positives,
        patients=len(set(patients)),
        accuracy=proportion(int((called == true).sum()), true.size),
        majority=max(positives, true.size - positives) / true.size,
        sensitivity=proportion(int((called & true).sum()), positives),
        specificity=proportion(int((~called & ~true).sum()), true.size - positives),
        auc=area,
        warnings=_doubts(true, area),
    )


def proportion(successes: int, n: int) -> Estimate:
    """A share of ``n`` and Wilson's 95 % interval; undefined for ``n = 0``.

    Examples:
        >>> print(proportion(90, 99))  # papers.md A8
        0.909 (0.836 to 0.951)
    """
    if n == 0:
        return Estimate(None, None, None, 0)
    share, spread = successes / n, _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def auc(scores: np.ndarray, truths: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Area under the ROC curve: how often a positive scores higher than a negative; equal scores count half.

    Args:
        scores: Float ``[n]``.
        truths: Bool ``[n]``.
        weights: How often each example counts, ``[..., n]``; once by default.

    Returns:
        Float64 ``[...]``; nan where there is no positive or no negative.
    """
    order = np.argsort(scores, kind="stable")
    ranked, truths = np.asarray(scores)[order], np.asarray(truths, dtype=bool)[order]
    weights = np.ones(ranked.size) if weights is None else np.asarray(weights, dtype=np.float64)[..., order]
    levels = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    positive = np.add.reduceat(weights * truths, levels, axis=-1)
    negative = np.add.reduceat(weights * ~truths, levels, axis=-1)
    below = np.cumsum(negative, axis=-1) - negative
    wins = (positive * (below + negative / 2)).sum(axis=-1)
    pairs = positive.sum(axis=-1) * negative.sum(axis=-1)
    return np.divide(wins, pairs, out=np.full(np.shape(pairs), np.nan), where=pairs > 0)


def roc_points(scores: np.ndarray, truths: np.ndarray) -> tuple[list[float], list[float]]:
    """False positive rate and sensitivity at each score from the highest down, beginning at 0, 0.

    Args:
        scores: Float ``[n]``.
        truths: Bool ``[n]``, with both classes; else there are no points.
    """
    truths = np.asarray(truths, dtype=bool)
    if truths.all() or not truths.any():
        return [], []
    order = np.argsort(-np.asarray(scores), kind="stable")
    ranked, truths = np.asarray(scores)[order], truths[order]
    last = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])  # of equal scores the last: they are one point
    alarms, found = np.cumsum(~truths)[last] / (~truths).sum(), np.cumsum(truths)[last] / truths.sum()
    return [0.0, *alarms.tolist()], [0.0, *found.tolist()]


def auc_with_interval(scores: np.ndarray, truths: np.ndarray, patients: Sequence[str], seed: int = 0) -> Estimate:
    """The AUC and the middle 95 % of those of patients drawn with replacement.

    Draws in which one class is missing have no AUC and are left out. Where all draws agree, as when the classes are
    told apart without a mistake, the draws say nothing about other patients, and there is no interval.

    Args:
        scores: Float ``[n]``.
        truths: Bool ``[n]``.
        patients: Whose each example is.
        seed: The same seed gives the same interval.
    """
    value = float(auc(scores, truths))
    if math.isnan(value):
        return Estimate(None, None, None, len(truths))
    areas = auc(scores, truths, patient_draws(patients, seed))
    low, high = np.nanpercentile(areas, (2.5, 97.5))
    if low == high:
        return Estimate(value, None, None, len(truths))
    return Estimate(value, float(low), float(high), len(truths))


def patient_draws(patients: Sequence[str], seed: int = 0) -> np.ndarray:
    """How often each example counts when its patients are drawn with replacement, int ``[draws, n]``."""
    _, owner = np.unique(np.asarray(patients, dtype=str), return_inverse=True)
    count = int(owner.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    return drawn[:, owner]


def _doubts(truths: np.ndarray, area: Estimate) -> tuple[str, ...]:
    if truths.all() or not truths.any():
        missing = "negative" if truths.all() else "positive"
        return (f"No held-out example is {missing}, so the AUC is undefined; hold out patients of both kinds.",)
    if area.low is None:
        return (f"The AUC is {area.value:.3f} whichever of the patients are drawn, so it has no interval.",)
    return ()
