"""How the runs of a sweep are done: one after the other in this process, which needs nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from Med3DCore.benchmarks.sweep.outcome import Outcome
from Med3DCore.benchmarks.sweep.plan import SweepRun
from Med3DCore.progress import Progress

Tell = Callable[[float], None]
Do = Callable[[SweepRun, Tell, Callable[[], bool]], Outcome]
"""Does a run, or goes on with it: told how much of it is done (0..1), asked whether to stop; then it is Cancelled."""


class Engine(Protocol):
    """Does runs, in whatever order they end."""

    def __call__(self, runs: Sequence[SweepRun], do: Do, shares: Shares) -> Iterator[Outcome]:
        """The outcome of each run as it ends.

        Raises:
            Cancelled: The user stopped; each run that was begun has saved where it was.
        """


class Shares:
    """How much of a sweep is done.

    Args:
        progress: Told of it, within one stage for the whole sweep; may cancel.
        total: Runs of the whole sweep.
        done: Those that were done before.
    """

    def __init__(self, progress: Progress, total: int, done: int) -> None:
        self.progress, self._total = progress, total
        self._whole, self._parts = done, dict[str, float]()
        progress.skip(done / total)

    def tell(self, name: str, part: float) -> None:
        """How much of a run is done, 0..1; what it did in earlier calls is what is told first.

        If it goes on elsewhere, from an earlier step, nothing is taken back.

        Raises:
            Cancelled: The user wants to stop.
        """
        if name not in self._parts:
            self.progress.skip(part / self._total)
        self._parts[name] = max(part, self._parts.get(name, 0.0))
        self.show()

    def end(self, name: str) -> None:
        """A run has ended."""
        self._parts.pop(name, None)
        self._whole += 1

    def show(self) -> None:
        """Update the progress.

        Raises:
            Cancelled: The user wants to stop.
        """
        self.progress.update((self._whole + sum(self._parts.values())) / self._total)


def one_after_the_other(runs: Sequence[SweepRun], do: Do, shares: Shares) -> Iterator[Outcome]:
    """The engine of this process."""
    for run in runs:
        shares.show()
        outcome = do(run, partial(shares.tell, run.name), shares.progress.is_cancelled)
        shares.end(run.name)
        yield outcome
