"""What the trainings of a comparison say together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import inf
from statistics import median

from Med3DCore.training.comparison.measures import (
    Difference,
    Speed,
    Spread,
    difference,
    first_as_good,
    median_steps,
    speed,
    spread,
    steps_to,
)
from Med3DCore.training.comparison.outcome import Outcome
from Med3DCore.training.comparison.plan import Plan


@dataclass(frozen=True)
class Arm:
    """The trainings that differ in their seeds alone.

    Args:
        init: Name of the start.
        rate: Learning rate.
        share: Part of the training patients.
        outcomes: One for each seed.
    """

    init: str
    rate: float
    share: float
    outcomes: tuple[Outcome, ...]

    @property
    def patients(self) -> int:
        """How many each training learned from."""
        return self.outcomes[0].patients

    @property
    def scores(self) -> dict[int, float]:
        """Final score by seed, of those that did not break off."""
        return {each.run.seed: each.score for each in self.outcomes if each.score is not None}

    @property
    def final(self) -> Spread | None:
        """Final scores together; None if every training broke off."""
        return spread(list(self.scores.values()))

    @property
    def seconds(self) -> float:
        """Median time of a training."""
        return median(each.seconds for each in self.outcomes)

    def steps_to(self, score: float) -> dict[int, int | None]:
        """Steps to a score by seed; None if it was never reached."""
        return {each.run.seed: steps_to(each.curve, score) for each in self.outcomes}

    def steps_to_own(self, part: float) -> float | None:
        """Median of the steps to a part of each training's own best score."""
        best = [max((score for _, score in each.curve), default=0.0) for each in self.outcomes]
        return median_steps([steps_to(each.curve, part * top) for each, top in zip(self.outcomes, best, strict=True)])


@dataclass(frozen=True)
class Comparison:
    """All trainings of a plan, and what follows from them.

    Args:
        plan: What was compared.
        outcomes: What came of each run.
        labels: What was learned.
        held_out: Names of the cases that all were measured on.
        warnings: Sentences on why the scores may mislead.
    """

    plan: Plan
    outcomes: tuple[Outcome, ...]
    labels: tuple[str, ...]
    held_out: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def arm(self, init: str, rate: float, share: float = 1.0) -> Arm:
        """The trainings of a start, a rate and a part of the patients."""
        key = (init, rate, share)
        return Arm(*key, tuple(o for o in self.outcomes if (o.run.init, o.run.rate, o.run.share) == key))

    @property
    def arms(self) -> list[Arm]:
        """Every start and rate, with all patients."""
        return [self.arm(init.name, rate) for init in self.plan.inits for rate in self.plan.rates]

    @property
    def baseline(self) -> str:
        """Name of the start that the others are compared with."""
        return self.plan.inits[0].name

    @property
    def steps(self) -> int:
        """Length of the longest training."""
        return max(outcome.steps for outcome in self.outcomes)

    @cached_property
    def level(self) -> float:
        """The score that is to be reached soon: a part of the best that any training with all patients had."""
        scores = [score for o in self.outcomes if o.run.share == 1 for _, score in o.curve]
        return self.plan.threshold * max(scores, default=0.0)

    def best(self, init: str, share: float = 1.0) -> Arm:
        """A start at the learning rate that is best for it with all patients; one that broke off comes last."""
        arms = [self.arm(init, rate) for rate in self.plan.rates]
        best = max(arms, key=lambda arm: (len(arm.scores), arm.final.mean if arm.final else 0.0))
        return self.arm(init, best.rate, share)

    def fastest(self, init: str) -> Arm:
        """A start at the learning rate that is soonest at the level with all patients; the better one of equals."""

        def lateness(arm: Arm) -> tuple[float, float]:
            steps = median_steps(arm.steps_to(self.level).values())
            return (inf if steps is None else steps, -arm.final.mean if arm.final else 0.0)

        return min((self.arm(init, rate) for rate in self.plan.rates), key=lateness)

    def gain(self, arm: Arm, other: Arm) -> Difference | None:
        """How much better an arm is than another."""
        return difference(arm.scores, other.scores)

    def speed(self, arm: Arm, other: Arm) -> Speed:
        """How much sooner an arm comes to the level than another."""
        return speed(arm.steps_to(self.level), other.steps_to(self.level), self.steps)

    def saving(self, init: str) -> list[Arm]:
        """A start at its best rate with ever more patients."""
        return [self.best(init, share) for share in self.plan.shares]

    def needed(self, init: str) -> Arm | None:
        """The fewest patients with which a start is as good as the baseline with all; None if it never is."""
        full = self.best(self.baseline).final
        return next((a for a in self.saving(init) if full and a.final and a.final.mean >= full.mean), None)

    def needed_range(self, init: str) -> tuple[Arm | None, Arm | None] | None:
        """:meth:`needed` as 95 % of the draws of seeds have it: the fewest and the most; None with one seed."""
        arms = self.saving(init)
        places = first_as_good([arm.scores for arm in arms], self.best(self.baseline).scores)
        if places is None:
            return None
        low, high = (arms[int(place)] if place < inf else None for place in places)
        return low, high
