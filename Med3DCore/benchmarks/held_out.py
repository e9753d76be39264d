"""Who teaches, on whom the best step is chosen, and who tests: by patient, each kind of patient evenly."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from Med3DCore.benchmarks.task import Split
from Med3DCore.errors import DataError
from Med3DCore.training.cases.case import AnyCase


@dataclass(frozen=True)
class Divided(Generic[AnyCase]):
    """A data set in parts that share no patient.

    Args:
        teaching: Cases to learn from, with the split ``"training"``, or to choose the best step on, ``"validation"``.
        test: Cases on whom results are reported.
    """

    teaching: list[AnyCase]
    test: list[AnyCase]


def divide(
    cases: Sequence[AnyCase], split: Split, kinds: Mapping[str, str] | None = None, test: set[str] | None = None
) -> Divided[AnyCase]:
    """Divide a data set.

    Args:
        cases: All cases.
        split: The shares, and the seed.
        kinds: Patient to what he shows, so that each part has patients of each kind; all alike by default.
        test: The patients of the data set's own test part; by default they are drawn.

    Raises:
        DataError: There are too few patients.
    """
    patients = sorted({case.patient for case in cases})
    if len(patients) < 3:
        raise DataError(
            f"The data set has {len(patients)} patients; a task needs at least 3, to learn, choose and test."
        )
    kinds = kinds or {}
    tested = _drawn(patients, split.test, split.seed, kinds) if test is None else test & set(patients)
    others = [patient for patient in patients if patient not in tested]
    if not tested or len(others) < 2:
        raise DataError(f"{len(tested)} patients are for testing and {len(others)} for learning; both parts need some.")
    chosen = _drawn(others, split.validation, split.seed + 1, kinds)
    teaching = [
        replace(case, split="validation" if case.patient in chosen else "training")
        for case in cases
        if case.patient not in tested
    ]
    return Divided(teaching, [replace(case, split="validation") for case in cases if case.patient in tested])


def _drawn(patients: Sequence[str], share: float, seed: int, kinds: Mapping[str, str]) -> set[str]:
    """A share of the patients of each kind, rounded, of all at least one and never everybody."""
    rng, drawn = np.random.default_rng(seed), []
    for kind in sorted({kinds.get(patient, "") for patient in patients}):
        own = [patient for patient in patients if kinds.get(patient, "") == kind]
        rng.shuffle(own)
        drawn += own[: math.floor(share * len(own) + 0.5)]
    return set((drawn or [patients[int(rng.integers(len(patients)))]])[: len(patients) - 1])
