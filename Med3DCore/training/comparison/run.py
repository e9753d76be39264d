"""Do all trainings of a comparison, or go on where an earlier call was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from Med3DCore.errors import DataError, Med3DError, ModelError
from Med3DCore.inference.device import Device
from Med3DCore.preprocessing.preprocessing import Preprocessing
from Med3DCore.progress import Progress
from Med3DCore.training.cases.cache import CaseCache, prepare_cases
from Med3DCore.training.cases.case import Case
from Med3DCore.training.cases.prepared import Prepared
from Med3DCore.training.comparison.comparison import Comparison
from Med3DCore.training.comparison.outcome import Curve, Outcome
from Med3DCore.training.comparison.plan import Plan, Run, choose_patients
from Med3DCore.training.learning.checkpoint import LOG, read_log
from Med3DCore.training.learning.initialization import SCRATCH, Start, digest, find_start
from Med3DCore.training.learning.loop import DIVERGED, train
from Med3DCore.training.learning.recipe import StageRecipe
from Med3DCore.training.segmentation.checks import require_apart, require_taught
from Med3DCore.training.segmentation.trainer import SegmentationTask

if TYPE_CHECKING:
    from Med3DCore.models.stage import Stage


def find_starts(plan: Plan, recipe: StageRecipe) -> dict[str, Start]:
    """The weights of every start, by its name.

    Raises:
        ModelError: There is no such model, or it does not fit the stage.
    """
    starts = {init.name: find_start(init.source, recipe.stage) for init in plan.inits}
    for init in plan.inits:
        if init.source != SCRATCH and starts[init.name].weights is None:
            raise ModelError(f"The start '{init.name}' would be {starts[init.name].source}; give an encoder that fits.")
    return starts


def run_all(
    plan: Plan,
    recipe: StageRecipe,
    starts: dict[str, Start],
    cases: Sequence[Case],
    folder: Path,
    device: Device,
    progress: Progress | None = None,
    cache: CaseCache | None = None,
    workers: int | None = None,
) -> list[Outcome]:
    """Train every combination, each in a folder of its own, with fewer patients at each start's best rate alone.

    Finished ones are not repeated.

    Trainings of one seed differ in nothing but start, rate and cases: the decoder's first weights are the same, and
    with the same cases every patch of every step is.

    Args:
        plan: What is compared.
        recipe: Network, preprocessing, labels and settings.
        starts: As :func:`find_starts` gives them.
        cases: All cases; those of split ``"validation"`` are what all trainings are measured on.
        folder: Holds the trainings' folders; made if missing.
        device: Where to compute.
        progress: Told after each step; may cancel.
        cache: Where prepared cases are kept, or None to keep them in memory.
        workers: How many batches are drawn ahead, see :func:`Med3DCore.training.learning.loop.train`.

    Raises:
        Cancelled: The user stopped; everything done is saved.
        DataError: No case is held out, too few are there to learn from, or a folder holds another training.
        Med3DError: As :func:`Med3DCore.training.learning.loop.train`; a loss that is no number ends that training
            alone.
    """
    progress = progress or Progress()
    settings = {rate: plan.settings(recipe.training, rate) for rate in plan.rates}
    subsets = _prepare_subsets(plan, recipe.stage, cases, cache, progress)
    # So that a training is not gone on with after its start was exchanged.
    digests = {name: None if start.weights is None else digest(start.weights) for name, start in starts.items()}
    outcomes: list[Outcome] = []

    def do(run: Run) -> None:
        subset, own = subsets[run.seed, run.share], replace(recipe, training=settings[run.rate])
        task = SegmentationTask(own, subset, run.seed, starts[run.init].weights)
        task.identity = [task.identity, digests[run.init], plan.minutes]
        task.name = f"{len(outcomes) + 1} of {plan.count}: {run.describe()}"
        path, share, score, scores, broke = folder / run.folder, 1 / plan.count, None, {}, None
        try:
            trained = train(task, own.training, path, run.seed, device, progress, plan.minutes, share, workers=workers)
            score, scores = trained.validation.score, trained.validation.details
        except Med3DError as error:
            if error.code != DIVERGED:
                raise
            broke = str(error)
        patients = len({case.case.patient for case in subset if case.case.split == "training"})
        outcomes.append(Outcome(run, patients, *_read(path), score, scores, broke))

    for run in plan.runs:
        do(run)
    with_all = Comparison(plan, tuple(outcomes), tuple(recipe.stage.found), ())
    for run in plan.runs_with_fewer({init.name: with_all.best(init.name).rate for init in plan.inits}):
        do(run)
    return outcomes


def _prepare_subsets(
    plan: Plan, stage: Stage, cases: Sequence[Case], cache: CaseCache | None, progress: Progress
) -> dict[tuple[int, float], list[Prepared[Case]]]:
    """For each seed and share the training cases of its patients and all held-out cases, each prepared once."""
    if not any(case.split == "validation" for case in cases):
        raise DataError(
            "No case is held out to compare on; give some the split 'validation', or make folds with med3d dataset "
            "split and name them with --splits."
        )
    chosen = {seed: choose_patients(cases, stage.found, plan.shares, seed) for seed in plan.seeds}
    with progress.stage("prepare cases"):
        prepared = prepare_cases(cases, Preprocessing.from_dict(stage.preprocessing), stage.found, cache, progress)
    if stage.activation == "softmax":
        require_apart(prepared, stage.found)
    subsets = {}
    for seed, parts in chosen.items():
        for share, patients in zip(plan.shares, parts, strict=True):
            subset = [c for c in prepared if c.case.split == "validation" or c.case.patient in patients]
            require_taught(subset, {name: channel for channel, name in enumerate(stage.found)})
            subsets[seed, share] = subset
    return subsets


def _read(folder: Path) -> tuple[Curve, int, float]:
    """Curve, steps and seconds of a training, from its log."""
    log = read_log(folder / LOG)
    curve = tuple((entry["step"], entry["score"]) for entry in log if entry.get("score") is not None)
    return curve, max((entry["step"] for entry in log), default=0), log[-1]["seconds"] if log else 0.0
