"""How good and how fast trainings of several seeds are, and whether a difference is more than chance."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import comb, inf, sqrt

import numpy as np

_CONFIDENCE, _ERROR = 0.95, 0.05
_DRAWS = 10_000

LEAST_SEEDS = 6
"""The fewest seeds with which the sign test can call one start sooner: all first by chance has p = 2 / 2^6 = 0.03."""

RULE = (
    "Two starts differ in Dice only if the 95 % interval of the mean of their differences, seed by seed (Student's t), "
    f"leaves out 0, and in speed only by the sign test over seeds (exact, two-sided, p at most 0.05), for which "
    f"{LEAST_SEEDS} seeds are the fewest. Of starts that are equal each calls at most 1 in 20 different, and of many "
    "comparisons some will. This tells chance in training from more; how other patients would come out, it cannot tell."
)


@dataclass(frozen=True)
class Spread:
    """Scores of trainings that differ in their seeds alone.

    Args:
        n: How many.
        mean: Their mean.
        sd: Sample standard deviation (n - 1); None for one training, which has no spread.
        min: The worst.
        max: The best.
    """

    n: int
    mean: float
    sd: float | None
    min: float
    max: float


def spread(values: Sequence[float]) -> Spread | None:
    """Summarise scores; None if there is none."""
    if not values:
        return None
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(len(values), float(np.mean(values)), sd, min(values), max(values))


@dataclass(frozen=True)
class Difference:
    """How much higher the scores of one start are than those of another, with the same seeds.

    Args:
        n: Seeds that both have.
        mean: Mean of the differences.
        low: Lower end of the 95 % interval of the mean; None for one seed.
        high: Upper end.
    """

    n: int
    mean: float
    low: float | None
    high: float | None

    @property
    def is_shown(self) -> bool:
        """Whether it is more than chance in training, by RULE."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Difference | None:
    """Compare scores by seed; None if they have no seed in common.

    Examples:
        >>> difference({1: 0.9, 2: 0.8}, {1: 0.7, 2: 0.6}).mean
        0.2
    """
    values = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if not values:
        return None
    mean = round(float(np.mean(values)), 6)
    if len(values) == 1:
        return Difference(1, mean, None, None)
    from scipy.special import stdtrit

    half = float(stdtrit(len(values) - 1, 0.5 + _CONFIDENCE / 2) * np.std(values, ddof=1) / sqrt(len(values)))
    return Difference(len(values), mean, mean - half, mean + half)


def first_as_good(scores: Sequence[Mapping[int, float]], goal: Mapping[int, float]) -> tuple[float, float] | None:
    """From which of several sizes on a start is as good as a goal: 95 % of the draws of as many seeds anew.

    Args:
        scores: By seed, for each size, the smallest first.
        goal: Of the start that it is compared with, by seed; the same seeds are drawn of both.

    Returns:
        The least and the most place in ``scores``, infinite where it never is; None with fewer than two common seeds.

    Examples:
        >>> first_as_good([{1: 0.7, 2: 0.9}, {1: 0.9, 2: 0.9}], {1: 0.8, 2: 0.8})
        (0.0, 1.0)
    """
    seeds = [seed for seed in goal if all(seed in each for each in scores)]
    if len(seeds) < 2:
        return None
    gains = np.array([[each[seed] - goal[seed] for seed in seeds] for each in scores])
    drawn = np.random.default_rng(0).integers(len(seeds), size=(_DRAWS, len(seeds)))
    reached = gains[:, drawn].mean(axis=2) >= 0
    first = np.where(reached.any(axis=0), reached.argmax(axis=0), inf)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(first, (tail, 1 - tail), method="nearest")
    return float(low), float(high)


def steps_to(curve: Sequence[tuple[int, float]], score: float) -> int | None:
    """Steps of the first validation that is as good as ``score``; None if none is, or a score of 0 is no goal."""
    return next((step for step, value in curve if value >= score > 0), None)


@dataclass(frozen=True)
class Speed:
    """How much sooner one start reaches a score than another.

    Args:
        ratio: Median of the other's steps through the median of its own; None if it cannot be told.
        bound: ``"at least"`` where the other's median lies beyond the last step, else ``""``.
        earlier: With how many seeds it was first.
        later: With how many the other was.
        n: Seeds that both have.
    """

    ratio: float | None
    bound: str
    earlier: int
    later: int
    n: int

    @property
    def p(self) -> float:
        """Of the sign test: how often starts that are equal would come out so one-sided, or more; ties say nothing."""
        told, most = self.earlier + self.later, max(self.earlier, self.later)
        return min(1.0, 2 * sum(comb(told, count) for count in range(most, told + 1)) / 2**told)

    @property
    def is_shown(self) -> bool:
        """Whether it is more than chance in training, by RULE."""
        return self.p <= _ERROR

    @property
    def has_too_few_seeds(self) -> bool:
        """Whether nothing at all could have been shown with so few."""
        return self.n < LEAST_SEEDS


def speed(ours: Mapping[int, int | None], theirs: Mapping[int, int | None], steps: int) -> Speed:
    """Compare the steps to a score, by seed.

    Args:
        ours: Steps by seed; None if it was never reached.
        theirs: Of the start that it is compared with.
        steps: Length of the trainings.

    Examples:
        >>> speed({1: 10, 2: 20}, {1: 30, 2: None}, 100)
        Speed(ratio=6.666666666666667, bound='at least', earlier=2, later=0, n=2)
    """
    seeds = [seed for seed in ours if seed in theirs]
    pairs = [(_or_never(ours[seed]), _or_never(theirs[seed])) for seed in seeds]
    own, other = median_steps(ours.values()), median_steps(theirs.values())
    return Speed(
        None if own is None else (steps if other is None else other) / own,
        "at least" if own is not None and other is None else "",
        sum(one < two for one, two in pairs),
        sum(one > two for one, two in pairs),
        len(seeds),
    )


def median_steps(values: Collection[int | None]) -> float | None:
    """Median in which a score that was never reached counts as late; None if the median itself is so."""
    steps = sorted(_or_never(value) for value in values)
    median = (steps[(len(steps) - 1) // 2] + steps[len(steps) // 2]) / 2 if steps else inf
    return None if median == inf else median


def _or_never(steps: int | None) -> float:
    return inf if steps is None else steps
