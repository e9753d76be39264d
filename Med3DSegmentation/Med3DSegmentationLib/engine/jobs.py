"""A job: one request to the engine after the other, each with what its answer does to the scene."""

from __future__ import annotations

import logging
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from enum import Enum
from inspect import isgenerator
from typing import Any, Protocol

import slicer
from slicer.i18n import tr as _

from Med3DCore.errors import Cancelled, Med3DError
from Med3DCore.progress import ProgressCallback
from Med3DCore.worker.exchange import new_exchange_folder
from Med3DSegmentationLib.engine.process import EngineProcess
from Med3DSegmentationLib.engine.progress_texts import stageTitle
from Med3DSegmentationLib.scene.pieces import Pieces

_TURN_SECONDS = 0.02


class Step(Protocol):
    """One request of a job.

    Attributes:
        type: Type of the request.
        title: What it works on, for people, such as the volume's name.
        options: More arguments of :meth:`.process.EngineProcess.request`; may be missing.
    """

    type: str
    title: str

    def prepare(self, folder: str) -> dict[str, Any] | Pieces[dict[str, Any]]:
        """Write the volume to the job's private folder; returns the request's fields.

        What takes long is a generator: whenever it yields, the window may breathe.
        """

    def place(self, answer: dict[str, Any]) -> Any | Pieces[Any]:
        """Put the answer into the scene; returns what the job's caller gets. It may be a generator too."""

    def needs(self, node: slicer.vtkMRMLNode) -> bool:
        """Whether it is pointless once this node is gone."""


class JobState(Enum):
    """Where a job is."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"


class UnexpectedError(Med3DError):
    """A bug of ours.

    Args:
        details: The traceback, to be folded away.
    """

    code = "unexpected"

    def __init__(self, details: str) -> None:
        super().__init__(_("Med3D came upon something unexpected and stopped; please report it with the details."))
        self.details = details


class Job:
    """Runs steps one after the other; made and started by the logic.

    Args:
        engine: Does them.
        steps: What to do.
        combine: Makes the job's result of those of its steps.
        onProgress: Gets (stage, fraction of the whole job, seconds left or None).
        onFinished: Gets the result.
        onError: Gets the error; Cancelled too. None logs it.
        keepGoing: Whether a step that failed leaves its error among the results, and the others go on.

    Attributes:
        state: A JobState.
        result: Once it is finished.
        error: Once it is failed or cancelled.
    """

    def __init__(
        self,
        engine: EngineProcess,
        steps: Sequence[Step],
        combine: Callable[[list], Any],
        onProgress: ProgressCallback | None = None,
        onFinished: Callable[[Any], None] | None = None,
        onError: Callable[[Med3DError], None] | None = None,
        keepGoing: bool = False,
    ) -> None:
        self.state = JobState.RUNNING
        self.result: Any = None
        self.error: Med3DError | None = None
        self._engine, self._steps, self._combine, self._keepGoing = engine, list(steps), combine, keepGoing
        self._onProgress, self._onFinished, self._onError = onProgress, onFinished, onError
        self._outcomes: list[Any] = []
        self._gone: dict[int, Med3DError] = {}
        self._folder: tempfile.TemporaryDirectory | None = None
        self._work: Pieces[Any] | None = None
        self._fraction = 0.0
        self._requestId: int | None = None
        self._cancelReason: Cancelled | None = None
        self._began = time.monotonic()

    @property
    def isRunning(self) -> bool:
        """Whether it has neither finished nor failed yet."""
        return self.state is JobState.RUNNING

    def start(self) -> None:
        """Begin with the first step; comes back at once."""
        while self.isRunning and self._requestId is None and self._work is None:
            if len(self._outcomes) == len(self._steps):
                self._finish()
            else:
                self._begin(len(self._outcomes))

    @property
    def results(self) -> list[Any]:
        """What the steps that were done until now gave, without errors; of a job that keeps going, it stays."""
        return [outcome for outcome in self._outcomes if not isinstance(outcome, Med3DError)]

    def cancel(self, reason: str = "") -> None:
        """Stop everything; onError gets Cancelled, with the reason if one is given, within about a second."""
        if self.isRunning and self._cancelReason is None:
            self._cancelReason = Cancelled(reason or self._whatStays())
            if self._requestId is not None:
                self._engine.cancel(self._requestId)
            elif self._work is not None:
                self._work.close()
                self._work = None
                self._continue(self._cancelReason)

    def wait(self, waiter: Callable[[Callable[[], bool]], None]) -> Any:
        """The result, once it is there.

        Args:
            waiter: Keeps the event loop going until a function says True.

        Raises:
            Med3DError: It failed or was cancelled.
        """
        waiter(lambda: not self.isRunning)
        if self.error is not None:
            raise self.error
        return self.result

    def nodeRemoved(self, node: slicer.vtkMRMLNode) -> None:
        """A node has gone: steps that need it are not done, and the running one is stopped."""
        for index in range(len(self._outcomes), len(self._steps)):
            if index not in self._gone and self._steps[index].needs(node):
                sentence = _("{volume} was removed from the scene; it was left out.")
                self._gone[index] = Cancelled(sentence.format(volume=node.GetName()))
                if index == len(self._outcomes) and self._requestId is not None:
                    self._engine.cancel(self._requestId)

    def _begin(self, index: int) -> None:
        """Send a step's request, or fail."""
        step = self._steps[index]
        try:
            if index in self._gone:
                raise self._gone[index]
            self._folder = new_exchange_folder()
            fields = step.prepare(self._folder.name)
        except Exception as error:
            self._take(_asOurs(error))
            return
        self._fraction = 0.0
        self._do(fields, self._send)

    def _do(self, work: Any | Pieces[Any], then: Callable[[Any], None]) -> None:
        """Go on with a value at once, or with that of a generator when all its pieces are done."""
        if isgenerator(work):
            self._work = work
            self._engine.callSoon(lambda: self._workOn(then))
        else:
            then(work)

    def _workOn(self, then: Callable[[Any], None]) -> None:
        """Do the next pieces, for a while."""
        if self._work is None:  # cancelled meanwhile
            return
        until = time.monotonic() + _TURN_SECONDS
        try:
            if self._stopReason is not None:
                raise self._stopReason
            self._report(next(self._work))
            while self._work is not None and time.monotonic() < until:
                self._report(next(self._work))
        except StopIteration as end:
            self._work = None
            then(end.value)
        except Exception as error:
            self._work.close()
            self._work = None
            self._continue(_asOurs(error))
        else:
            self._engine.callSoon(lambda: self._workOn(then))

    def _whatStays(self) -> str:
        """What cancelling leaves, for the user."""
        if self._keepGoing and self.results:
            sentence = _("Cancelled; {done} of {all} are done and stay.")
            return sentence.format(done=len(self.results), all=len(self._steps))
        return _("Cancelled; nothing was written.")

    @property
    def _stopReason(self) -> Med3DError | None:
        """Why the current step shall not be done, or None."""
        return self._cancelReason or self._gone.get(len(self._outcomes))

    def _send(self, fields: dict[str, Any]) -> None:
        step = self._steps[len(self._outcomes)]
        self._report(_("Starting the engine"))  # until it tells more: it may have to load much
        callbacks = self._onResult, self._onFailure, self._advance
        self._requestId = self._engine.request(step.type, fields, *callbacks, **getattr(step, "options", {}))

    def _onResult(self, answer: dict[str, Any]) -> None:
        self._requestId = None
        try:
            outcome = self._stopReason or self._steps[len(self._outcomes)].place(answer)
        except Exception as error:
            outcome = _asOurs(error)
        self._do(outcome, self._continue)

    def _onFailure(self, error: Med3DError) -> None:
        self._continue(self._gone.get(len(self._outcomes), error))

    def _continue(self, outcome: Any) -> None:
        self._requestId = None
        self._take(outcome)
        self.start()

    def _take(self, outcome: Any) -> None:
        """Keep what came of the current step."""
        if self._folder:
            self._folder.cleanup()
            self._folder = None
        if self._cancelReason:
            self._fail(self._cancelReason)
        elif isinstance(outcome, Med3DError) and not self._keepGoing:
            self._fail(outcome)
        else:
            self._outcomes.append(outcome)

    def _finish(self) -> None:
        try:
            self.result = self._combine(self._outcomes)
        except Exception as error:
            self._fail(_asOurs(error))
            return
        self.state = JobState.FINISHED
        if self._onFinished:
            self._onFinished(self.result)

    def _fail(self, error: Med3DError) -> None:
        self.error = error
        self.state = JobState.CANCELLED if isinstance(error, Cancelled) else JobState.FAILED
        if self._onError:
            self._onError(error)
        else:
            logging.error("Med3D: %s", error)

    def _advance(self, stage: str, fraction: float, secondsLeft: float | None) -> None:
        self._fraction = fraction
        self._report(stageTitle(stage), secondsLeft)

    def _report(self, stage: str | None, secondsLeft: float | None = None) -> None:
        if stage is None or not self._onProgress or self._cancelReason:
            return
        fraction = self._fraction
        done, count = len(self._outcomes), len(self._steps)
        if count > 1:
            stage = f"{self._steps[done].title} ({done + 1}/{count}): {stage}"
            fraction = (done + fraction) / count
            elapsed = time.monotonic() - self._began
            secondsLeft = elapsed * (1 - fraction) / fraction if fraction > 0.02 else None
        self._onProgress(stage, fraction, secondsLeft)


def _asOurs(error: Exception) -> Med3DError:
    return error if isinstance(error, Med3DError) else UnexpectedError(traceback.format_exc())
