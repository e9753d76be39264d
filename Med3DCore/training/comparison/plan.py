"""What is compared: every start with every learning rate and seed, and with parts of the training patients."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from Med3DCore.errors import DataError, SettingError
from Med3DCore.training.cases.case import Case
from Med3DCore.training.comparison.init import Init
from Med3DCore.training.learning.loop_settings import LoopSettings

_VALIDATIONS = 20


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        init: Name of the start.
        rate: Learning rate.
        seed: Seed of the decoder's weights, the patches and the choice of patients.
        share: Part of the training patients, to 1.
    """

    init: str
    rate: float
    seed: int
    share: float

    @property
    def folder(self) -> str:
        """Where it is kept."""
        return f"{self.init}/rate-{self.rate:g}-cases-{100 * self.share:g}-seed-{self.seed}"

    def describe(self) -> str:
        """What to call it in progress."""
        part = f", {100 * self.share:.0f} % of the patients" if self.share < 1 else ""
        return f"{self.init}, rate {self.rate:g}, seed {self.seed}{part}"


SomeSettings = TypeVar("SomeSettings", bound=LoopSettings)


@dataclass(frozen=True)
class Plan:
    """All that is compared.

    Args:
        inits: Starts; the first is what the others are compared with.
        rates: Learning rates.
        seeds: Seeds.
        shares: Parts of the training patients; all of them (1) always belong to it.
        threshold: The part of the best score that a training should reach soon.
        minutes: Time for each training, or None.
    """

    inits: tuple[Init, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...] = (1, 2, 3)
    shares: tuple[float, ...] = (1.0,)
    threshold: float = 0.9
    minutes: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", tuple(sorted({*self.shares, 1.0})))
        for what, values in (
            ("start", [init.name for init in self.inits]),
            ("learning rate", self.rates),
            ("seed", self.seeds),
        ):
            twice = [value for value in values if list(values).count(value) > 1]
            if not values or twice:
                raise SettingError(f"The {what} {twice[0]} is given twice." if twice else f"Give at least one {what}.")
        for what, values in (("The part of the cases", self.shares), ("The threshold", (self.threshold,))):
            wrong = [value for value in values if not 0 < value <= 1]
            if wrong:
                raise SettingError(f"{what} is {wrong[0]:g}; it must be greater than 0 and at most 1.")
        if self.minutes is not None and not 0 < self.minutes < float("inf"):
            raise SettingError(f"The time for each training is {self.minutes:g} minutes; it must be more than 0.")

    @property
    def runs(self) -> list[Run]:
        """Every start and rate with all patients, one seed after the other."""
        return [Run(init.name, rate, seed, 1.0) for seed in self.seeds for rate in self.rates for init in self.inits]

    def runs_with_fewer(self, rates: Mapping[str, float]) -> list[Run]:
        """Every start with the smaller parts of the patients, the largest first, each at one learning rate."""
        product = itertools.product(self.shares[-2::-1], self.seeds, self.inits)
        return [Run(init.name, rates[init.name], seed, share) for share, seed, init in product]

    @property
    def count(self) -> int:
        """How many trainings there are."""
        return len(self.inits) * len(self.seeds) * (len(self.rates) + len(self.shares) - 1)

    def settings(self, settings: SomeSettings, rate: float) -> SomeSettings:
        """Of a training: the recipe's, with what would give one start more than another taken out.

        That is to end early, and to report the best of many validations; and validations come at fixed steps.

        Raises:
            SettingError: They are of no step, or the rate makes no sense.
        """
        if settings.steps < 1:
            raise SettingError("Trainings of no step cannot be compared; give them at least one.")
        every = settings.validate_every or max(1, settings.steps // _VALIDATIONS)
        return replace(settings, learning_rate=rate, validate_every=every, patience=0, keep="last")


def choose_patients(cases: Sequence[Case], labels: Sequence[str], shares: Sequence[float], seed: int) -> list[set[str]]:
    """The training patients of each share, a smaller one within the larger.

    The order is drawn with the seed; where labels are partial, the next patient is one who has the label that the
    fewest have so far, so that a small share knows them all, if it can.

    Args:
        cases: All cases.
        labels: The labels to learn.
        shares: Parts of the training patients.
        seed: Seed of the order.

    Returns:
        For each share the patients, at least one.

    Raises:
        DataError: No case is for training.
        SettingError: Two shares are the same number of patients.
    """
    having: dict[str, set[str]] = {}
    for case in cases:
        if case.split == "training":
            having.setdefault(case.patient, set()).update({*case.annotated} & {*labels})
    if not having:
        raise DataError("No case is there to learn from; give some of them the split 'training'.")
    counts = [max(1, round(share * len(having))) for share in shares]
    for one, other in itertools.pairwise(sorted(zip(counts, shares, strict=True))):
        if one[0] == other[0]:
            raise SettingError(
                f"{100 * one[1]:g} % and {100 * other[1]:g} % of the {len(having)} training patients are the same "
                f"number, {one[0]}; ask for one of the two."
            )
    waiting = sorted(having)
    np.random.default_rng(seed).shuffle(waiting)
    order: list[str] = []
    while waiting:
        known = {name: sum(name in having[patient] for patient in order) for name in labels}
        waiting.sort(key=lambda patient: min((known[name] for name in having[patient]), default=len(order) + 1))
        order.append(waiting.pop(0))
    return [set(order[:count]) for count in counts]
