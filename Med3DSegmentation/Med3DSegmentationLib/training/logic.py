"""Training from Slicer: cases in, a new model out. No GUI; works from Slicer's Python console."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import Med3DError, SettingError
from Med3DCore.io.label_names import slug
from Med3DCore.labels import Label
from Med3DCore.models.folders import trainings_folder
from Med3DCore.progress import ProgressCallback
from Med3DCore.worker.protocol import Metric
from Med3DSegmentationLib.engine.jobs import Job
from Med3DSegmentationLib.engine.process import EngineProcess, processEventsUntil
from Med3DSegmentationLib.training.cases import TrainingCase, Use
from Med3DSegmentationLib.training.step import TrainingChoices, TrainingResult, TrainStep

SECONDS_TO_PAUSE = 30.0  # a step of a large network on a slow CPU, and writing its state
_ENOUGH_TO_CHECK = 3
_MOST_NAMES = 5  # that are told


@dataclass(frozen=True)
class EarlierTraining:
    """A training on this computer, as the engine's request ``trainings`` lists it.

    Args:
        folder: Where it is.
        title: Of its model.
        state: ``"unfinished"``, ``"finished"`` or ``"broken"``.
        step: Steps done.
        steps: Steps that it will take, or None while nobody knows.
        minutes: Its time.
        updated: When something was written to it last, ISO 8601.
        cases: Names of its cases.
        model: What it started from, or None.
    """

    folder: str
    title: str
    state: str
    step: int
    steps: int | None
    minutes: float
    updated: str
    cases: tuple[str, ...]
    model: str | None


class TrainingLogic:
    """Trains models in the engine's process, which goes on while the user works, and keeps each training on disk.

    A training that was paused, or interrupted by a crash or the end of Slicer, can be continued at any time. As in
    :class:`.segmentation_logic.SegmentationLogic`, methods return a Job at once and call back on the main thread, or,
    with ``wait=True``, return the result.

    Args:
        scene: The scene, given by who owns it.
        engine: The engine's process.
        waiter: Keeps the event loop going until a function says True, for ``wait=True``.

    Examples:
        >>> cases = addAllPairs(slicer.mrmlScene, {})  # doctest: +SKIP
        >>> result = TrainingLogic(slicer.mrmlScene, engine).train(cases, TrainingChoices("Ours"), wait=True)
        ... # doctest: +SKIP
        >>> result.model, result.rows  # doctest: +SKIP
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        engine: EngineProcess,
        waiter: Callable[[Callable[[], bool]], None] = processEventsUntil,
    ) -> None:
        self.scene = scene
        self._engine = engine
        self._waiter = waiter
        self._job: Job | None = None
        self._step: TrainStep | None = None

    @property
    def isBusy(self) -> bool:
        """Whether a training runs or waits."""
        return self._job is not None and self._job.isRunning

    def train(
        self,
        cases: Sequence[TrainingCase],
        choices: TrainingChoices,
        modelLabels: Mapping[str, Label] | None = None,
        folder: str | None = None,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onMetric: Callable[[Metric], None] | None = None,
        onFinished: Callable[[TrainingResult], None] | None = None,
        onError: Callable[[Med3DError], None] | None = None,
    ) -> Job | TrainingResult:
        """Train a new model.

        Args:
            cases: What to train with, see :mod:`.training.cases`.
            choices: What to make of it.
            modelLabels: Labels of the model to start from, by name, to find the segments that mean them.
            folder: Where to keep the training; a new one beside the user's models by default.
            wait: Return only when it is done.
            onProgress: Gets (stage, fraction, seconds left or None).
            onMetric: Gets loss and Dice on the way.
            onFinished: Gets the result.
            onError: Gets the error; Cancelled when it was paused.

        Raises:
            SettingError: The cases cannot be trained with, or a training runs already.
        """
        labels = dict(modelLabels or {})
        problem = problemOf(cases, labels) or ("" if choices.title.strip() else _("Give the new model a name."))
        if problem:
            raise SettingError(problem)
        step = TrainStep(
            self.scene, folder or newFolder(choices.title), list(cases), labels, choices, False, _options(onMetric)
        )
        return self._run(step, wait, onProgress, onFinished, onError)

    def resume(
        self,
        folder: str,
        finish: bool = False,
        wait: bool = False,
        onProgress: ProgressCallback | None = None,
        onMetric: Callable[[Metric], None] | None = None,
        onFinished: Callable[[TrainingResult], None] | None = None,
        onError: Callable[[Med3DError], None] | None = None,
    ) -> Job | TrainingResult:
        """Go on with a training, also one of an earlier session.

        Args:
            folder: Of the training.
            finish: Make a model of what it has by now, instead of training on.
            wait: See :meth:`train`.
            onProgress: See :meth:`train`.
            onMetric: See :meth:`train`.
            onFinished: See :meth:`train`.
            onError: See :meth:`train`.
        """
        step = TrainStep(self.scene, folder, None, {}, None, finish, _options(onMetric))
        return self._run(step, wait, onProgress, onFinished, onError)

    def pause(self) -> None:
        """Stop after the step that is being done; the training's onError gets Cancelled, and it can be continued."""
        if self.isBusy:
            self._job.cancel(
                _("The training is paused. Continue it whenever you like, also after Slicer was closed.")
                if self._step.isSent
                else _("Cancelled before the training began.")
            )

    def listEarlier(
        self, onFinished: Callable[[tuple[EarlierTraining, ...]], None], onError: Callable[[Med3DError], None]
    ) -> None:
        """Ask the engine for the trainings on this computer, newest first; not while one runs, it would wait."""

        def onResult(answer: dict[str, Any]) -> None:
            onFinished(tuple(_earlier(values) for values in answer["trainings"]))

        self._engine.request("trainings", {}, onResult, onError)

    def remove(self, folder: str, onRemoved: Callable[[], None], onError: Callable[[Med3DError], None]) -> None:
        """Delete a training of this computer with its copies of the cases; models and the cases themselves stay."""
        self._engine.request("remove_training", {"folder": folder}, lambda _answer: onRemoved(), onError)

    def close(self) -> None:
        """Pause what runs: the module is reloaded, or Slicer closes."""
        self.pause()

    def _run(
        self,
        step: TrainStep,
        wait: bool,
        onProgress: ProgressCallback | None,
        onFinished: Callable[[TrainingResult], None] | None,
        onError: Callable[[Med3DError], None] | None,
    ) -> Job | TrainingResult:
        if self.isBusy:
            raise SettingError(_("A training runs already; pause it first."))
        self._step = step
        self._job = job = Job(self._engine, [step], lambda outcomes: outcomes[0], onProgress, onFinished, onError)
        job.start()
        return job.wait(self._waiter) if wait else job


def problemOf(cases: Sequence[TrainingCase], modelLabels: Mapping[str, Label]) -> str:
    """Why these cases cannot be trained with and what to do, or nothing; quick."""
    if not cases:
        return _("Add at least one case: a volume and a segmentation of it.")
    for case in cases:
        problem = case.problem(modelLabels)
        if problem:
            return problem
    if all(case.use is Use.CHECK for case in cases):
        return _("All cases are only for checking; use at least one for training.")
    return ""


def adviceOn(cases: Sequence[TrainingCase], modelLabels: Mapping[str, Label]) -> str:
    """What to know before training with these cases, or nothing; quick."""
    advice = []
    names = list(dict.fromkeys(name for case in cases for name in case.unlearned(modelLabels)))
    if names:
        sentence = _(
            'Not learned: {names}. Select a case and choose what its segments mean; "Nothing" leaves them out.'
        )
        shown = ", ".join(names[:_MOST_NAMES])
        if len(names) > _MOST_NAMES:
            shown = _("{names} and {count} more").format(names=shown, count=len(names) - _MOST_NAMES)
        advice.append(sentence.format(names=shown))
    if len(cases) < _ENOUGH_TO_CHECK:
        advice.append(
            _(
                "With fewer than three cases none can be held back to check the new model;"
                " look at its results before you rely on them."
            )
        )
    return " ".join(advice)


def newFolder(title: str) -> str:
    """A folder for a new training, beside the user's models."""
    return str(trainings_folder() / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{slug(title)[:40]}")


def _options(onMetric: Callable[[Metric], None] | None) -> dict[str, Any]:
    return {"onMetric": onMetric, "secondsToCancel": SECONDS_TO_PAUSE}


def _earlier(values: dict[str, Any]) -> EarlierTraining:
    known = {name: values[name] for name in EarlierTraining.__dataclass_fields__}
    return EarlierTraining(**{**known, "cases": tuple(values["cases"])})
