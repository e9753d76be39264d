"""How good answers about several classes or labels are: the AUC of each and their mean, and the accuracy.

Intervals come from drawing patients with replacement, as in :mod:`.classification` and for the same reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.evaluation.bootstrap import mean_with_interval
from Med3DCore.evaluation.classification import Estimate, auc, auc_with_interval, patient_draws

UNKNOWN = 255


@dataclass(frozen=True)
class ClassesReport:
    """How well scans were told apart.

    Args:
        n: Scans.
        patients: Patients that they come from.
        auc: Of each class against the others, or of each label where it is known.
        mean_auc: Mean of those that are defined.
        accuracy: Share of scans whose likeliest class is the right one; None where several labels can be true.
        majority: Accuracy of always giving the commonest class, or None.
        recall: Of each class the share that was called so; empty where several labels can be true.
        warnings: Sentences on what to know about the numbers.
    """

    n: int
    patients: int
    auc: dict[str, Estimate]
    mean_auc: Estimate
    accuracy: Estimate | None
    majority: float | None
    recall: dict[str, Estimate]
    warnings: tuple[str, ...] = ()

    def figures(self) -> dict[str, Estimate]:
        """All of it by name, the figure that sums it up first."""
        if len(self.auc) == 1:
            return {"auc": self.mean_auc}
        single = {f"auc {name}": value for name, value in self.auc.items()}
        if self.accuracy is None:
            return {"mean auc": self.mean_auc, **single}
        recall = {f"recall {name}": value for name, value in self.recall.items()}
        always = {"accuracy of the commonest class": Estimate(self.majority, None, None, self.n)}
        return {"accuracy": self.accuracy, **always, **recall, "mean auc": self.mean_auc, **single}

    def to_dict(self) -> dict:
        """Plain values for JSON; what is undefined is None."""
        return {**asdict(self), "warnings": list(self.warnings)}


def evaluate_classes(
    probabilities: np.ndarray,
    answers: np.ndarray,
    names: Sequence[str],
    patients: Sequence[str],
    exclusive: bool,
    seed: int = 0,
) -> ClassesReport:
    """Measure a classification of scans.

    Args:
        probabilities: Of each class or label, float ``[n, classes]``.
        answers: uint8 of the same shape: 1 true, 0 not, 255 unknown.
        names: Of the classes.
        patients: Whose each scan is.
        exclusive: Whether each scan is of one class.
        seed: Seed of the draws.

    Raises:
        DataError: There is no scan, or a probability is no number.

    Examples:
        >>> found, true = np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([[1, 0], [0, 1]], np.uint8)
        >>> evaluate_classes(found, true, ("a", "b"), ("p", "q"), exclusive=True).accuracy.value
        1.0
    """
    if not len(probabilities):
        raise DataError("There is no scan to measure the classification on.")
    if not np.isfinite(probabilities).all():
        raise DataError("The classifier gave a probability that is no number; it cannot be used as it is.")
    owners = np.asarray(patients, dtype=str)
    single = {}
    for column, name in enumerate(names):
        told = answers[:, column] != UNKNOWN
        scores, true = probabilities[told, column], answers[told, column] == 1
        defined = bool(true.any() and not true.all())
        single[name] = (
            auc_with_interval(scores, true, owners[told].tolist(), seed)
            if defined
            else Estimate(None, None, None, int(told.sum()))
        )
    undefined = [name for name, value in single.items() if value.value is None]
    warnings = (
        [f"Of {', '.join(undefined)} the AUC is undefined: all held-out scans show it, or none."] if undefined else []
    )
    accuracy, majority, recall = None, None, {}
    if exclusive:
        right, true_class = probabilities.argmax(axis=1) == answers.argmax(axis=1), answers.argmax(axis=1)
        accuracy = mean_with_interval(right.tolist(), owners.tolist(), seed)
        majority = float(np.bincount(true_class).max() / len(true_class))
        for column, name in enumerate(names):
            own = true_class == column
            recall[name] = mean_with_interval(right[own].tolist(), owners[own].tolist(), seed)
    mean = _mean_auc(probabilities, answers, [each.value for each in single.values()], patients, seed)
    return ClassesReport(len(answers), len(set(patients)), single, mean, accuracy, majority, recall, tuple(warnings))


def _mean_auc(
    probabilities: np.ndarray, answers: np.ndarray, values: Sequence[float | None], patients: Sequence[str], seed: int
) -> Estimate:
    """The mean of the defined AUCs; each draw's is of those that are defined in it."""
    columns = [column for column, value in enumerate(values) if value is not None]
    if not columns:
        return Estimate(None, None, None, len(answers))
    mean = float(np.mean([values[column] for column in columns]))
    draws = patient_draws(patients, seed)
    areas = [
        auc(probabilities[:, column], answers[:, column] == 1, draws * (answers[:, column] != UNKNOWN))
        for column in columns
    ]
    known = np.isfinite(areas)
    sums, counts = np.where(known, areas, 0).sum(axis=0), known.sum(axis=0)
    low, high = np.percentile(sums[counts > 0] / counts[counts > 0], (2.5, 97.5))
    if low == high:
        return Estimate(mean, None, None, len(answers))
    return Estimate(mean, float(low), float(high), len(answers))
