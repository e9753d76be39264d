"""How far a mean over patients may be off: the middle 95 % of the means of patients drawn with replacement."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.evaluation.classification import Estimate

_RESAMPLES = 2000


def mean_with_interval(values: Sequence[float], patients: Sequence[str], seed: int = 0) -> Estimate:
    """The mean of values and its interval; cases of one patient are drawn together.

    Values that are nan or infinite are left out, and ``n`` counts the others. One patient alone, or patients who all
    agree, say nothing about others, and there is no interval.

    Args:
        values: One for each case.
        patients: Whose each case is.
        seed: The same seed gives the same interval.

    Raises:
        DataError: There are more values than patients, or fewer.

    Examples:
        >>> print(mean_with_interval([0.5, 0.7], ["a", "b"]))
        0.600 (0.500 to 0.700)
    """
    if len(values) != len(patients):
        raise DataError(f"There are {len(values)} values but {len(patients)} patients; each value needs its patient.")
    value = np.asarray(values, dtype=np.float64)
    known = np.isfinite(value)
    if not known.any():
        return Estimate(None, None, None, 0)
    mean, count = float(value[known].mean()), int(known.sum())
    _, owner = np.unique(np.asarray(patients, dtype=str)[known], return_inverse=True)
    people = int(owner.max()) + 1
    if people < 2:
        return Estimate(mean, None, None, count)
    sums, sizes = np.bincount(owner, value[known]), np.bincount(owner)
    drawn = np.random.default_rng(seed).multinomial(people, np.full(people, 1 / people), size=_RESAMPLES)
    means = (drawn @ sums) / (drawn @ sizes)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(mean, None, None, count) if low == high else Estimate(mean, float(low), float(high), count)
