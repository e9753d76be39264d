"""A job: one request to the engine after the other, each with what its answer does to the scene."""

from __future__ import annotations

import logging
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Protocol

import slicer

from Med3DCore.errors import Cancelled, Med3DError
from Med3DCore.progress import ProgressCallback
from Med3DCore.worker.exchange import new_exchange_folder
from Med3DSegmentationLib.engine_process import EngineProcess


class Step(Protocol):
    """One request of a job.

    Attributes:
        type: Type of the request.
        title: What it works on, for people, such as the volume's name.
    """

    type: str
    title: str

    def prepare(self, folder: str) -> dict[str, Any]:
        """Write the volume to the job's private folder; returns the request's fields."""

    def place(self, answer: dict[str, Any]) -> Any:
        """Put the answer into the scene; returns what the job's caller gets."""

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
        super().__init__("Med3D came upon something unexpected and stopped; please report it with the details.")
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
        self._requestId: int | None = None
        self._cancelReason: Cancelled | None = None
        self._began = time.monotonic()

    @property
    def isRunning(self) -> bool:
        """Whether it has neither finished nor failed yet."""
        return self.state is JobState.RUNNING

    def start(self) -> None:
        """Begin with the first step; comes back at once."""
        while self.isRunning and self._requestId is None:
            if len(self._outcomes) == len(self._steps):
                self._finish()
            else:
                self._begin(len(self._outcomes))

    def cancel(self, reason: str = "Cancelled; nothing was written.") -> None:
        """Stop everything; onError gets Cancelled within about a second."""
        if self.isRunning and self._cancelReason is None:
            self._cancelReason = Cancelled(reason)
            self._engine.cancel(self._requestId)

    def nodeRemoved(self, node: slicer.vtkMRMLNode) -> None:
        """A node has gone: steps that need it are not done, and the running one is stopped."""
        for index in range(len(self._outcomes), len(self._steps)):
            if index not in self._gone and self._steps[index].needs(node):
                self._gone[index] = Cancelled(
                    f"{self._steps[index].title} was removed from the scene; it was left out."
                )
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
        self._requestId = self._engine.request(step.type, fields, self._onResult, self._onFailure, self._advance)

    def _onResult(self, answer: dict[str, Any]) -> None:
        index = len(self._outcomes)
        try:
            error = self._cancelReason or self._gone.get(index)  # it was done before it could be stopped
            outcome = error or self._steps[index].place(answer)
        except Exception as error:
            outcome = _asOurs(error)
        self._continue(outcome)

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
        if not self._onProgress or self._cancelReason:
            return
        done, count = len(self._outcomes), len(self._steps)
        if count > 1:
            stage = f"{self._steps[done].title} ({done + 1}/{count}): {stage}"
            fraction = (done + fraction) / count
            elapsed = time.monotonic() - self._began
            secondsLeft = elapsed * (1 - fraction) / fraction if fraction > 0.02 else None
        self._onProgress(stage, fraction, secondsLeft)


def _asOurs(error: Exception) -> Med3DError:
    return error if isinstance(error, Med3DError) else UnexpectedError(traceback.format_exc())
