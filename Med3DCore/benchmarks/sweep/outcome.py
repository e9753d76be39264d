"""What came of a run of a sweep."""

from __future__ import annotations

from dataclasses import dataclass, field

from Med3DCore.benchmarks.results import RESULTS, read_results
from Med3DCore.benchmarks.run_folder import EVALUATION
from Med3DCore.benchmarks.sweep.plan import SweepRun
from Med3DCore.errors import DataError
from Med3DCore.evaluation.classification import Estimate


@dataclass(frozen=True)
class Outcome:
    """What came of a run.

    Args:
        run: Which.
        figures: Of its evaluation, by name; empty if it failed.
        patients: On how many it was measured.
        seconds: Of its training, with validations.
        failed: Why there are no figures, in a sentence, or None.
    """

    run: SweepRun
    figures: dict[str, Estimate] = field(default_factory=dict)
    patients: int = 0
    seconds: float = 0.0
    failed: str | None = None


def read_outcome(run: SweepRun) -> Outcome | None:
    """What a finished run left in its folder; None of one that is not finished, or whose results are damaged."""
    from Med3DCore.training.learning.checkpoint import LOG, read_log  # needs torch

    if not (run.folder / EVALUATION / RESULTS).is_file():
        return None
    try:
        results = read_results(run.folder / EVALUATION)
    except DataError:
        return None
    logs = [read_log(file) for file in run.folder.rglob(LOG)]
    seconds = sum(log[-1].get("seconds", 0.0) for log in logs if log)
    return Outcome(run, results.figures, results.patients, round(seconds, 1))
