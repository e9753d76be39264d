"""Starts against tasks: mean and spread over seeds, and which start is better by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from Med3DCore.benchmarks.sweep.outcome import Outcome
from Med3DCore.benchmarks.sweep.plan import SweepPlan
from Med3DCore.training.comparison.measures import Difference, Spread, difference, spread

RULE = (
    "A start is in bold where it is better than each other start of its column by more than chance in training: the "
    "95 % interval of the mean of the differences, seed by seed (Student's t), leaves out 0. Of starts that are equal "
    "this calls at most 1 in 20 pairs different, and among many columns some will be. How other patients would come "
    "out it cannot tell."
)
_LOW_IS_GOOD = ("assd_mm", "hd95_mm", "seconds", "cpu_percent_seconds", "memory_mb", "gpu_memory_mb_seconds")


@dataclass(frozen=True)
class Cell:
    """A start at a task.

    Args:
        start: Name of the start.
        scores: The figure by seed.
        failed: Why there is none, by seed.
        to_go: Seeds that are not done yet.
    """

    start: str
    scores: dict[int, float]
    failed: dict[int, str]
    to_go: tuple[int, ...]

    @property
    def spread(self) -> Spread | None:
        """Of the scores; None if there is none."""
        return spread(list(self.scores.values()))


@dataclass(frozen=True)
class Column:
    """All starts at a task.

    Args:
        task: Name of the task.
        figure: Name of the figure; empty while nothing is known.
        patients: On how many it was measured.
        cells: One for each start.
    """

    task: str
    figure: str
    patients: int
    cells: tuple[Cell, ...]

    @property
    def sign(self) -> int:
        """1 where a high figure is good, -1 where a low one is."""
        return -1 if self.figure.split(" ")[0] in _LOW_IS_GOOD or self.figure.split(" ")[-1] in _LOW_IS_GOOD else 1

    def gain(self, cell: Cell, other: Cell) -> Difference | None:
        """How much higher the figure of a start is than another's, seed by seed."""
        return difference(cell.scores, other.scores)

    @property
    def best(self) -> Cell | None:
        """The start that is better than each other one by ``RULE``; None if there is none."""
        measured = [cell for cell in self.cells if cell.spread is not None]
        if len(measured) < 2:
            return None
        first = max(measured, key=lambda cell: self.sign * cell.spread.mean)  # type: ignore[union-attr]
        gains = [self.gain(first, other) for other in measured if other is not first]
        is_shown = all(gain is not None and gain.is_shown and self.sign * gain.mean > 0 for gain in gains)
        return first if is_shown else None


@dataclass(frozen=True)
class Table:
    """What a sweep found so far.

    Args:
        plan: What it does.
        columns: One for each task.
        outcomes: Of the runs that ended.
        warnings: Sentences on why scores may mislead.
    """

    plan: SweepPlan
    columns: tuple[Column, ...]
    outcomes: tuple[Outcome, ...]
    warnings: tuple[str, ...] = ()

    @property
    def to_go(self) -> int:
        """Runs that have not ended."""
        return sum(len(cell.to_go) for column in self.columns for cell in column.cells)


def make_table(
    plan: SweepPlan, outcomes: Sequence[Outcome], wanted: Sequence[str] = (), warnings: Sequence[str] = ()
) -> Table:
    """The table of the outcomes so far.

    Args:
        plan: What the sweep does.
        outcomes: One for each run that ended.
        wanted: Names of figures; each task is judged by the first of them that it has, and else by its own.
        warnings: Sentences on why scores may mislead.
    """
    return Table(
        plan, tuple(_column(plan, task, outcomes, wanted) for task in plan.tasks), tuple(outcomes), (*warnings,)
    )


def _column(plan: SweepPlan, task: str, outcomes: Sequence[Outcome], wanted: Sequence[str]) -> Column:
    own = {(outcome.run.start, outcome.run.seed): outcome for outcome in outcomes if outcome.run.task == task}
    measured = [outcome for outcome in own.values() if outcome.figures]
    figure = main_figure(list(measured[0].figures), wanted) if measured else ""
    cells = []
    for start in plan.starts:
        done = {seed: own[start.name, seed] for seed in plan.seeds if (start.name, seed) in own}
        scores = {seed: _value(outcome, figure) for seed, outcome in done.items()}
        failed = {seed: each.failed or f"It has no '{figure}'." for seed, each in done.items() if scores[seed] is None}
        cells.append(
            Cell(
                start.name,
                {seed: score for seed, score in scores.items() if score is not None},
                failed,
                tuple(seed for seed in plan.seeds if seed not in done),
            )
        )
    return Column(task, figure, measured[0].patients if measured else 0, tuple(cells))


def main_figure(names: Sequence[str], wanted: Sequence[str] = ()) -> str:
    """The figure that stands for a task: a wanted one; else the first mean over labels or rates; else the first.

    Examples:
        >>> main_figure(["dice liver", "dice spleen", "mean dice", "mean nsd"])
        'mean dice'
        >>> main_figure(["auc", "accuracy"])
        'auc'
    """
    asked = [name for name in wanted if name in names]
    means = [name for name in names if name.startswith("mean ")]
    return (asked or means or list(names))[0]


def _value(outcome: Outcome, figure: str) -> float | None:
    found = outcome.figures.get(figure)
    return None if found is None else found.value
