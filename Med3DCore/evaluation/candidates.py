"""How good scores of candidates are, as LUNA16 measures it: sensitivity over false alarms a scan, and their mean, CPM.

The challenge's rules (https://luna16.grand-challenge.org/Evaluation): a nodule is found at the highest score of the
candidates that hit it; a candidate that hits nothing is a false alarm. The curve begins at 0, 0 and is read off
between its points along a line; CPM is the mean at 1/8, 1/4, 1/2, 1, 2, 4 and 8 false alarms a scan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from Med3DCore.errors import DataError
from Med3DCore.evaluation.classification import Estimate
from Med3DCore.evaluation.froc import Froc, pooled

CPM_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_RESAMPLES = 1000


def candidate_froc(hits: Sequence[float], alarms: Sequence[float]) -> Froc:
    """The curve of one scan.

    Args:
        hits: For each nodule the highest score of the candidates that hit it; -inf if none does.
        alarms: Scores of the candidates that hit nothing.
    """
    return Froc(np.asarray(hits, np.float64), np.asarray(alarms, np.float64), 1)


def sensitivities(
    scans: Sequence[Froc], rates: Sequence[float] = CPM_RATES, seed: int = 0
) -> tuple[dict[float, Estimate], Estimate]:
    """Sensitivity at so many false alarms a scan, and the mean of these, with the middle 95 % of scans drawn again.

    Args:
        scans: The curve of each scan.
        rates: False alarms a scan.
        seed: The same seed gives the same intervals.

    Raises:
        DataError: No scan has a nodule.
    """
    whole = pooled(scans)
    if not len(whole.hits):
        raise DataError("No held-out scan has a nodule, so there is no sensitivity.")
    values = whole.sensitivity(rates)
    rng = np.random.default_rng(seed)
    drawn = [pooled([scans[i] for i in rng.integers(len(scans), size=len(scans))]) for _ in range(_RESAMPLES)]
    table = np.array([each.sensitivity(rates) for each in drawn if len(each.hits)])
    count = len(whole.hits)
    each = {
        rate: _estimate(value, table[:, column], count)
        for column, (rate, value) in enumerate(zip(rates, values, strict=True))
    }
    return each, _estimate(float(np.mean(values)), table.mean(axis=1), count)


def _estimate(value: float, drawn: np.ndarray, count: int) -> Estimate:
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Estimate(value, None, None, count) if low == high else Estimate(value, float(low), float(high), count)
